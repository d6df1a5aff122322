/** Clients and the virtual phones: what each reads of what the other encrypts. The form is that of cases.mjs. */
import { assert, assertEqual, kOpenWithinMs } from './lane.mjs';

const kTextWithinMs = 2000;
const kAnswerWithinMs = 10_000;

const isText = (text) => (event) => event.text === text;

/** Waits until a phone has heard of a message: its last event of this kind. */
async function heard(lane, phone, what, matches = () => true) {
  const { events } = await lane.mock.events({
    kind: 'message', what: `"${what}" of phone ${phone.number}`, withinMs: kAnswerWithinMs,
    matches: ({ data }) => data.phone === phone.number && data.what === what && matches(data),
  });
  return events.at(-1).data;
}

const messageNamed = async (lane, phone, id) => (await lane.mock.messages(phone)).find((message) => message.id === id);

/** A linked client and another phone that have written to each other: from now on no session begins by itself. */
async function conversation(lane, client) {
  const other = await lane.phone();
  const { phone } = await lane.pair(client);
  await lane.mock.say(other, phone, 'the first word');
  await client.event('message', kTextWithinMs, isText('the first word'));
  const { id } = await client.command('send', { to: other.number, text: 'the second word' });
  await heard(lane, other, 'received', (data) => data.id === id);
  await lane.mock.say(other, phone, 'the third word');
  await client.event('message', kTextWithinMs, isText('the third word'));
  return { other: { ...other, partner: phone }, phone };
}

export function makePhoneCases() {
  return {
    'a text of another phone is there at once after the first login, an answer is read, both react': async (lane) => {
      const client = await lane.launch('talks');
      const other = await lane.phone();
      const { phone } = await lane.pair(client);
      const opened = performance.now();
      const id = await lane.mock.say(other, phone, 'hello from the phone');
      const message = await client.event('message', kTextWithinMs, isText('hello from the phone'));
      const took = performance.now() - opened;
      assertEqual([message.id, message.kind, message.offline], [id, 'text', false], 'the message');
      await heard(lane, other, 'receipt', (data) => data.id === id && data.detail === 'delivered');

      const sent = await client.command('send', { to: other.number, text: 'hello from the client' });
      const read = await heard(lane, other, 'received', (data) => data.id === sent.id);
      assertEqual([read.kind, read.text], ['text', 'hello from the client'], 'what the other phone read');
      const own = await heard(lane, phone, 'received', (data) => data.id === sent.id);
      assertEqual([own.text, own.chat], ['hello from the client', other.jid], 'what the own phone read');
      await client.event('receipt', kAnswerWithinMs, (event) => event.id === sent.id && event.kind === 'delivered');

      await client.command('send', { to: other.number, reaction: { id, emoji: '👍' } });
      const reaction = await heard(lane, other, 'received', (data) => data.kind === 'reaction');
      assertEqual([reaction.text, reaction.about], ['👍', id], "the client's reaction");
      await lane.mock.say(other, phone, { reaction: { id: sent.id, emoji: '🎉' } });
      await client.event('message', kTextWithinMs, (event) => event.kind === 'reaction' && event.text === '🎉');

      await client.command('read', { chat: other.jid, ids: [id] });
      await heard(lane, other, 'receipt', (data) => data.id === id && data.detail === 'read');
      const failures = [other, phone].map(async (each) => (await lane.mock.messages(each)).filter((m) => m.failures));
      assertEqual(await Promise.all(failures), [[], []], 'messages that a phone could not read at once');
      await lane.end(client);
      return `the text came ${took.toFixed(0)} ms after open`;
    },

    'what a phone tells a new companion of the past arrives': async (lane) => {
      const client = await lane.launch('history');
      const { phone } = await lane.pair(client);
      await client.event('log', kOpenWithinMs, (event) => event.text.startsWith('history: '));
      await lane.end(client);
      // A second login is told nothing again.
      const again = await lane.launch('history');
      await again.command('start');
      await again.state('connected', kOpenWithinMs);
      await lane.mock.say(await lane.phone(), phone, 'after the restart');
      await again.event('message', kTextWithinMs, isText('after the restart'));
      const shares = await lane.mock.events({
        kind: 'message', count: 1, matches: ({ data }) => data.what === 'sent' && data.kind === 'app_state_keys',
      });
      assertEqual(shares.events.length, 1, 'key shares');
      assert(!again.events.all().some((event) => event.text?.startsWith('history: ')), 'history at the second login');
      await lane.end(again);
    },

    'edits, revokes, replies, contacts and locations of a phone reach a client': async (lane) => {
      const client = await lane.launch('kinds');
      const other = await lane.phone();
      const { phone } = await lane.pair(client);
      const id = await lane.mock.say(other, phone, 'first');
      await client.event('message', kTextWithinMs, isText('first'));
      await lane.mock.say(other, phone, { text: 'a reply', reply_to: id });
      await client.event('message', kTextWithinMs, isText('a reply'));
      await lane.mock.say(other, phone, { contact: { name: 'Carla', vcard: 'BEGIN:VCARD\nFN:Carla\nEND:VCARD' } });
      await client.event('message', kTextWithinMs, (event) => event.kind === 'contact');
      await lane.mock.say(other, phone, { location: { latitude: 52.5, longitude: 13.4, name: 'here' } });
      await client.event('message', kTextWithinMs, (event) => event.kind === 'location');
      for (const what of [{ edit: { id, text: 'second' } }, { revoke: id }]) {
        const change = await lane.mock.say(other, phone, what);
        await heard(lane, other, 'receipt', (data) => data.id === change && data.detail === 'delivered');
      }
      await lane.end(client);
    },

    'what is spoilt on its way to a client is asked for again, and read': {
      seconds: { 6: 22 },
      async run(lane) {
        const client = await lane.launch('spoilt');
        const { other } = await conversation(lane, client);
        const said = [];
        for (const part of ['mac', 'body', 'version', 'counter']) {
          const { id: fault } = await lane.mock.call('POST', '/v1/faults', {
            fault: 'corrupt_enc', args: { part }, budget: 1,
            where: { device: 'spoilt', direction: 'to_client', stanza: { tag: 'message' } },
          });
          const id = await lane.mock.say(other, other.partner, `spoilt ${part}`);
          const { text } = await client.event('undecryptable', kAnswerWithinMs, (event) => event.id === id);
          said.push(`${part}: ${text}`);
          await heard(lane, other, 'resent', (data) => data.id === id);
          await client.event('message', kAnswerWithinMs, isText(`spoilt ${part}`));
          await lane.mock.call('DELETE', `/v1/faults/${fault}`);
        }
        await lane.end(client);
        return said.join(', ');
      },
    },

    'what is spoilt on its way from a client is asked for again, and read': async (lane) => {
      const client = await lane.launch('hurt');
      const { other } = await conversation(lane, client);
      for (const [part, why] of [['mac', 'bad_mac'], ['version', 'bad_version'], ['counter', 'too_far']]) {
        const { id: fault } = await lane.mock.call('POST', '/v1/faults', {
          fault: 'corrupt_enc', args: { part }, budget: 1,
          where: { device: 'hurt', direction: 'to_server', stanza: { tag: 'message' } },
        });
        const { id } = await client.command('send', { to: other.number, text: `hurt ${part}` });
        const read = await heard(lane, other, 'received', (data) => data.id === id);
        assertEqual(read.text, `hurt ${part}`, 'what the phone read');
        const { why: said, failures } = await messageNamed(lane, other, id);
        assertEqual([said, failures], [why, 1], 'what the phone could not read first');
        await lane.mock.call('DELETE', `/v1/faults/${fault}`);
      }
      await lane.end(client);
    },

    'a phone that forgot its session asks again; one whose session is old or too far on is asked': {
      seconds: { 6: 12 },
      async run(lane) {
        const client = await lane.launch('sessions');
        const { other, phone } = await conversation(lane, client);
        await lane.strike('session', { kind: 'lost' }, 'sessions');
        const { id } = await client.command('send', { to: other.number, text: 'to who forgot' });
        // The own phone, which has never answered, is still written to as at the beginning: with a key that it has not.
        for (const [each, reasons] of [[phone, ['no_session', 'no_pre_key']], [other, ['no_session']]]) {
          await heard(lane, each, 'received', (data) => data.id === id);
          const { why, failures } = await messageNamed(lane, each, id);
          assert(reasons.includes(why) && failures >= 1, `phone ${each.number} asked: ${why}, ${failures}`);
        }
        await lane.retriesAnswered('sessions', id);
        for (const kind of ['stale', 'ahead']) {
          await lane.mock.say(other, other.partner, `before ${kind}`);
          await client.event('message', kAnswerWithinMs, isText(`before ${kind}`));
          await lane.strike('session', { kind }, 'sessions');
          const spoilt = await lane.mock.say(other, other.partner, `after ${kind}`);
          await client.event('undecryptable', kAnswerWithinMs, (event) => event.id === spoilt);
          await client.event('message', kAnswerWithinMs, isText(`after ${kind}`));
        }
        await lane.end(client);
      },
    },

    'a phone that asks for a message it could read gets it again': async (lane) => {
      const client = await lane.launch('asked');
      const { other } = await conversation(lane, client);
      await lane.fault('retry_receipt', { count: 1 }, 'asked', { nth: 1 });
      const { id } = await client.command('send', { to: other.number, text: 'once more' });
      const read = await heard(lane, other, 'received', (data) => data.id === id);
      assertEqual(read.text, 'once more', 'what the phone read');
      await lane.end(client);
    },

    'a phone that is set up anew is written to and read': async (lane) => {
      const client = await lane.launch('anew');
      const { other } = await conversation(lane, client);
      await lane.strike('identity_change', { phone: other.number }, 'anew');
      await lane.mock.say(other, other.partner, 'from the new phone');
      await client.event('message', kAnswerWithinMs, isText('from the new phone'));
      const { id } = await client.command('send', { to: other.number, text: 'to the new phone' });
      await heard(lane, other, 'received', (data) => data.id === id);
      await lane.end(client);
    },
  };
}
