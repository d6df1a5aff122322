/**
 * Unmodified clients and our own engine (`testline engine`): what each reads of what the other says, and what both make
 * of messages that were spoilt or missed. The form is that of cases.mjs.
 *
 * With another one's client on the other side no mistake that the engine and the mock share can hide: where it and ours
 * disagree, it is right.
 */
import { assert, assertEqual, kOpenWithinMs } from './lane.mjs';

const kTextMs = 10_000;
const kAgainMs = 20_000;  // a message that is asked for again: Baileys 6 thinks for 5 s before it does

const kEngine = 'engine';
const kTheirs = 'theirs';
const kEngineOptions = { initial_prekeys: 30 };

const launch = (lane, label) =>
  lane.launch(label, { TESTLINE_OWNER: label }, label === kEngine ? lane.engine : undefined);

/** Both linked, each with a phone of its own, or with the same: {theirs, engine}, each {label, client, phone, jid}. */
async function acquainted(lane, phone) {
  const side = async (label, options) => {
    const client = await launch(lane, label);
    return { label, client, ...await lane.pair(client, { options, phone }) };
  };
  return { theirs: await side(kTheirs), engine: await side(kEngine, kEngineOptions) };
}

/** One side says something in a chat; the other one shows it, once, under the same id. Answers what it showed. */
async function tell(from, to, chat, what, shown, withinMs = kTextMs) {
  const { id } = await from.client.command('send', { to: chat, ...what });
  const message = await to.client.event('message', withinMs, (event) => event.id === id);
  const seen = Object.fromEntries(Object.keys(shown).map((name) => [name, message[name]]));
  assertEqual(seen, shown, `what ${to.label} shows of ${JSON.stringify(what)}`);
  return message;
}

const say = (from, to, text, chat = to.phone.jid) => tell(from, to, chat, { text }, { kind: 'text', text });

const told = (side, id, kind) =>
  side.client.event('receipt', kTextMs, (event) => event.id === id && event.kind === kind);

/** A few words, both ways: no session begins by itself from now on. */
async function converse(one, other, chat) {
  for (const number of [1, 2]) {
    await say(one, other, `${one.label} ${number}`, chat);
    await say(other, one, `${other.label} ${number}`, chat);
  }
}

/** A stopped side misses three texts, and has them in order after its next login. */
async function miss(lane, away, there) {
  await away.client.command('stop');
  const ids = [];
  for (const text of ['one', 'two', 'three']) {
    ids.push((await there.client.command('send', { to: away.phone.jid, text })).id);
  }
  await lane.mock.events({
    kind: 'stanza_in', device: there.label, what: 'the last of the missed texts',
    matches: ({ data }) => data.tag === 'message' && data.id === ids.at(-1),
  });
  await away.client.command('start', away.label === kEngine ? { options: kEngineOptions } : {});
  await away.client.state('connected', kOpenWithinMs);
  for (const id of ids) {
    const message = await away.client.event('message', kTextMs);
    assertEqual([message.id, message.offline], [id, true], `what ${away.label} has missed`);
  }
}

/** How often a side has sent a message to the server. */
async function copiesOf(lane, from, id) {
  const isCopy = ({ data }) => data.tag === 'message' && data.id === id;
  return (await lane.mock.eventsSoFar({ kind: 'stanza_in', device: from.label, matches: isCopy })).length;
}

/**
 * A message to one side is spoilt on its way, so often; it is asked for each time, and read. From the second time on a
 * request brings keys for a new session. Answers what the reader said of the first failure.
 */
async function spoil(lane, from, to, { part = 'mac', times = 1, chat = to.phone.jid } = {}) {
  const { id: fault } = await lane.mock.call('POST', '/v1/faults', {
    fault: 'corrupt_enc', args: { part }, budget: times,
    where: { device: to.label, direction: 'to_client', stanza: { tag: 'message' } },
  });
  const text = `${from.label}, ${part}, ${times}`;
  const { id } = await from.client.command('send', { to: chat, text });
  // Baileys tells its user at once; the engine only when it gives up, so here it is a line in the log.
  const why = to.label === kEngine
    ? await to.client.event('log', kTextMs, (event) => event.text.startsWith('cannot read a message of '))
    : await to.client.event('undecryptable', kTextMs, (event) => event.id === id);
  const message = await to.client.event('message', kAgainMs, (event) => event.id === id);
  assertEqual([message.kind, message.text], ['text', text], `what ${to.label} read at last`);
  assertEqual(await lane.retriesAnswered(from.label, id), times, `how often ${to.label} asked`);
  assertEqual(await copiesOf(lane, from, id), times + 1, `how often ${from.label} sent it`);
  await lane.mock.call('DELETE', `/v1/faults/${fault}`);
  return why.text;
}

/** Ends both, which have read everything (or so many not at the first go), and stayed connected. */
async function end(lane, { theirs, engine }, unread = 0) {
  const of = (side, kind) => side.client.events.all().filter(({ event }) => event === kind).length;
  assertEqual([of(theirs, 'undecryptable'), of(engine, 'undecryptable')], [unread, 0], 'what could not be read');
  for (const side of [theirs, engine]) {
    assertEqual(of(side, 'send_failed'), 0, `what ${side.label} could not send`);
    assertEqual(side.client.states().at(-1), 'connected', `the state of ${side.label}`);
    await lane.end(side.client);
  }
}

export const engineCases = {
  'the engine and another client exchange words of every kind and receipts, and miss nothing while away': {
    seconds: { 6: 5, 7: 5 },
    async run(lane) {
      const { theirs, engine } = await acquainted(lane);
      for (const [one, other] of [[theirs, engine], [engine, theirs]]) {
        const words = await say(one, other, `${one.label} begins`);
        assertEqual(words.offline, false, 'the first text waited');
        await told(one, words.id, 'delivered');
        await other.client.command('read', { chat: words.chat, ids: [words.id] });
        await told(one, words.id, 'read');
        const about = words.id;
        const answer = { text: 'an answer', reply_to: about };
        await tell(other, one, words.chat, answer, { kind: 'text', text: 'an answer', about });
        for (const emoji of ['👍', '']) {
          await tell(other, one, words.chat, { reaction: { id: about, emoji } }, { kind: 'reaction', text: emoji, about });
        }
        const chat = other.phone.jid;
        await tell(one, other, chat, { edit: { id: about, text: 'better' } }, { kind: 'edit', text: 'better', about });
        await tell(one, other, chat, { revoke: about }, { kind: 'revoke', about });
        const contact = { name: 'Carla', vcard: 'BEGIN:VCARD\nFN:Carla\nEND:VCARD' };
        await tell(one, other, chat, { contact }, { kind: 'contact', text: 'Carla' });
        const location = { latitude: 52.5, longitude: 13.4, name: 'here' };
        await tell(one, other, chat, { location }, { kind: 'location', text: 'here' });
      }
      await miss(lane, engine, theirs);
      await miss(lane, theirs, engine);
      await converse(theirs, engine);
      await end(lane, { theirs, engine });
    },
  },

  'the engine hears and speaks in a group that another client has made': {
    seconds: { 6: 12, 7: 5 },
    async run(lane) {
      const { theirs, engine } = await acquainted(lane);
      const members = [engine.phone.jid];
      const { jid: chat } = await theirs.client.command('group_create', { subject: 'Tea', members });
      for (const [one, other] of [[theirs, engine], [engine, theirs]]) {
        const { id: about, chat: where } = await say(one, other, `${one.label} begins`, chat);
        assertEqual(where, chat, 'the chat');
        await told(one, about, 'delivered');
        await tell(other, one, chat, { reaction: { id: about, emoji: '👍' } }, { kind: 'reaction', text: '👍', about });
        await tell(other, one, chat, { text: 'yes', reply_to: about }, { kind: 'text', text: 'yes', about });
      }
      const why = [await spoil(lane, theirs, engine, { chat }), await spoil(lane, engine, theirs, { chat })];
      await converse(theirs, engine, chat);
      await end(lane, { theirs, engine }, 1);
      return why.join('; ');
    },
  },

  'a Bad MAC on either side heals: the engine and another client ask each other again': {
    seconds: { 6: 25, 7: 5 },
    async run(lane) {
      const { theirs, engine } = await acquainted(lane);
      await converse(theirs, engine);
      const why = [];
      for (const times of [1, 2]) {
        for (const [from, to] of [[theirs, engine], [engine, theirs]]) {
          why.push(await spoil(lane, from, to, { times, part: times === 1 ? 'mac' : 'counter' }));
        }
        await converse(engine, theirs);
      }
      await end(lane, { theirs, engine }, 3);
      return why.join('; ');
    },
  },

  'a restart of another client, and a SIGKILL of the engine, do not end their conversation': {
    seconds: { 6: 5, 7: 5 },
    async run(lane) {
      const { theirs, engine } = await acquainted(lane);
      await converse(theirs, engine);
      const { id: asked } = await engine.client.command('send', { to: theirs.phone.jid, text: 'are you there?' });
      await theirs.client.event('message', kTextMs, (event) => event.id === asked);
      await lane.end(theirs.client);
      const { id: waits } = await engine.client.command('send', { to: theirs.phone.jid, text: 'and now?' });
      theirs.client = await launch(lane, kTheirs);
      await theirs.client.command('start');
      await theirs.client.event('message', kOpenWithinMs, (event) => event.id === waits);
      await converse(engine, theirs);

      const { id: promised } = await engine.client.command('send', { to: theirs.phone.jid, text: 'my last words' });
      await engine.client.kill();
      const { id: kept } = await theirs.client.command('send', { to: engine.phone.jid, text: 'and you?' });
      engine.client = await launch(lane, kEngine);
      await engine.client.command('start', { options: kEngineOptions });
      await engine.client.event('message', kOpenWithinMs, (event) => event.id === kept);
      // What was promised is sent; once more by the next process if the first one did not live to see the server's ack.
      if (!theirs.client.events.all().some((event) => event.id === promised)) {
        await theirs.client.event('message', kOpenWithinMs, (event) => event.id === promised);
      }
      await converse(theirs, engine);
      const copies = await copiesOf(lane, engine, promised);
      const times = theirs.client.events.all().filter(({ event, id }) => event === 'message' && id === promised).length;
      assert(copies <= 2 && times <= copies, `the last words were sent ${copies} times and heard ${times} times`);
      await end(lane, { theirs, engine });
    },
  },

  'the engine and another client are companions of one phone': {
    async run(lane) {
      const phone = await lane.phone();
      const other = await lane.phone();
      const { theirs, engine } = await acquainted(lane, phone);
      for (const [one, twin] of [[theirs, engine], [engine, theirs]]) {
        // What one writes the other one has written, too, in the chat that it belongs to.
        const text = `${one.label} writes`;
        const copy = await tell(one, twin, other.jid, { text }, { kind: 'text', text, from_me: true });
        const id = await lane.mock.say(other, phone, `to you both, says ${other.number}`);
        const heard = [];
        for (const side of [one, twin]) {
          heard.push(await side.client.event('message', kTextMs, (event) => event.id === id));
        }
        assertEqual(heard.map(({ from_me: own }) => own), [false, false], 'who wrote it');
        assertEqual(copy.chat.split('@')[0], (copy.chat.endsWith('@lid') ? other.lid : other.jid).split('@')[0],
          'the chat of what the twin wrote');
      }
      await end(lane, { theirs, engine });
    },
  },
};
