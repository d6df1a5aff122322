/**
 * Texts between two unmodified clients, each on a phone of its own: sessions, receipts, and what waits for somebody who
 * is away. Sessions are the clients' own business: that they can read each other shows that keys, copies and names
 * arrived as they should.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertEqual, kOpenWithinMs } from './lane.mjs';

const kTextMs = 10_000;

const kBaileys7 = [join(dirname(fileURLToPath(import.meta.url)), '../../scenarios/clients/baileys/run')];

/** Sends a text and waits until the other one shows it. */
async function say(from, to, jid, text) {
  const { id } = await from.command('send', { to: jid, text });
  const message = await to.event('message', kTextMs, (event) => event.text === text);
  assertEqual(message.id, id, `the id of "${text}"`);
  return message;
}

export const messageCases = {
  'two devices exchange texts, are told what became of them, and miss nothing while away': {
    async run(lane) {
      const left = await lane.launch('left');
      const right = await lane.launch('right');
      const { phone: leftPhone } = await lane.pair(left);
      const { phone: rightPhone } = await lane.pair(right);

      const first = await say(left, right, rightPhone.jid, 'are you there?');
      assertEqual(first.offline, false, 'the first text waited');
      await left.event('receipt', kTextMs, ({ id, kind }) => id === first.id && kind === 'delivered');
      await say(right, left, leftPhone.jid, 'I am');
      for (let number = 1; number <= 5; ++number) {
        await say(left, right, rightPhone.jid, `ping ${number}`);
        await say(right, left, leftPhone.jid, `pong ${number}`);
      }
      await right.command('read', { ids: [first.id] });
      await left.event('receipt', kTextMs, ({ id, kind }) => id === first.id && kind === 'read');

      await right.command('stop');
      const missed = [];
      for (const text of ['one', 'two', 'three']) {
        missed.push((await left.command('send', { to: rightPhone.jid, text })).id);
      }
      await lane.mock.events({
        kind: 'stanza_in', device: 'left', what: 'the last of the missed texts',
        matches: ({ data }) => data.tag === 'message' && data.id === missed.at(-1),
      });
      await right.command('start');
      await right.state('connected', kOpenWithinMs);
      for (const id of missed) {
        const message = await right.event('message', kTextMs);
        assertEqual([message.id, message.offline], [id, true], 'a text that was missed');
      }
      await say(right, left, leftPhone.jid, 'I am back');
      assertEqual(right.events.all().filter(({ event }) => event === 'undecryptable'), [], 'what right could not read');
      assertEqual(left.events.all().filter(({ event }) => event === 'undecryptable'), [], 'what left could not read');
      await lane.end(left);
      await lane.end(right);
    },
  },

  'a group of three hears what each of them says': {
    async run(lane) {
      // Each in a process of its own: in one, accounts of Baileys 7 that deal with the same device get in each other's
      // way (docs/guides/bad-mac.md).
      const talkers = {};
      for (const name of ['anna', 'bert', 'carl']) {
        const client = await lane.launch(name);
        talkers[name] = { client, ...await lane.pair(client) };
      }
      const { anna, bert, carl } = talkers;
      const members = [bert.phone.jid, carl.phone.jid];
      const { jid: group } = await anna.client.command('group_create', { subject: 'Tea', members });
      for (const round of [1, 2]) {
        for (const [name, speaker] of Object.entries(talkers)) {
          const text = `${name} ${round}`;
          await speaker.client.command('send', { to: group, text });
          for (const [listener, { client }] of Object.entries(talkers)) {
            if (listener === name) continue;
            const heard = await client.event('message', kTextMs);
            assertEqual([heard.chat, heard.text], [group, text], `what ${listener} hears`);
          }
        }
      }
      for (const { client } of Object.values(talkers)) {
        assertEqual(client.events.all().filter(({ event }) => event === 'undecryptable'), [], 'what nobody could read');
        await lane.end(client);
      }
    },
  },

  'Baileys 6 and 7 read each other, in a group, too': {
    majors: [6],
    async run(lane) {
      const old = await lane.launch('old');
      const current = await lane.launch('current', {}, kBaileys7);
      const { phone: oldPhone } = await lane.pair(old);
      const { phone: currentPhone } = await lane.pair(current);
      await say(old, current, currentPhone.jid, 'by number');
      for (const text of ['by hidden name', 'and on the session that exists']) {
        await say(current, old, oldPhone.jid, text);
        await say(old, current, currentPhone.jid, `answer to ${text}`);
      }
      const { jid: group } = await current.command('group_create', { subject: 'Tea', members: [oldPhone.jid] });
      for (const round of [1, 2]) {
        await say(current, old, group, `current ${round}`);
        await say(old, current, group, `old ${round}`);
      }
      for (const client of [old, current]) {
        const unread = client.events.all().filter(({ event }) => event === 'undecryptable');
        assertEqual(unread, [], 'what could not be read');
      }
      await lane.end(old);
      await lane.end(current);
    },
  },
};
