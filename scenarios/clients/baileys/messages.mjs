/**
 * Messages between the driver protocol (docs/guides/client-driver.md, `send` and `message`) and Baileys: pure functions.
 */
import { baileys } from './library.mjs';

const kWhats = ['text', 'reaction', 'edit', 'revoke', 'contact', 'location'];
const kKnown = ['cmd', 'ref', 'device', 'to', 'id', 'reply_to', ...kWhats];

export class MessageError extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

const refuse = (text) => { throw new MessageError('bad_request', text); };

function text(object, where, name, { empty = true } = {}) {
  const value = object[name];
  if (typeof value !== 'string') refuse(`${where} takes a text "${name}"`);
  if (!empty && value === '') refuse(`"${name}" is empty`);
  return value;
}

function degrees(object, name, most) {
  const value = object[name];
  if (typeof value !== 'number' || !(Math.abs(value) <= most)) {
    refuse(`"location" takes "${name}", a number of degrees up to ${most}`);
  }
  return value;
}

export function toJid(to) {
  if (typeof to !== 'string' || to === '') refuse('send takes a text "to": a number or a JID');
  return to.includes('@') ? to : `${to.replace(/\D/g, '')}@s.whatsapp.net`;
}

/**
 * What sock.sendMessage takes for a `send` command: {jid, content, options}. `kept` knows the messages that it may be
 * about: get(id) → {key, message}, or undefined. Throws a MessageError: bad_request names the member, unknown_message the id.
 */
export function sendArguments(command, kept) {
  const unknown = Object.keys(command).find((name) => !kKnown.includes(name));
  if (unknown) refuse(`send has no member "${unknown}"`);
  const jid = toJid(command.to);
  const given = kWhats.filter((name) => command[name] !== undefined);
  if (given.length !== 1) refuse(`send takes one of ${kWhats.join(', ')}${given.length ? `, not both "${given[0]}" and "${given[1]}"` : ''}`);
  const [what] = given;
  if (command.reply_to !== undefined && what !== 'text') refuse('only a text has "reply_to"');
  const value = command[what];
  if (!['text', 'revoke'].includes(what) && (typeof value !== 'object' || value === null)) refuse(`"${what}" is an object`);

  const about = (id) => {
    const found = kept.get(id);
    if (!found) throw new MessageError('unknown_message', `neither sent nor received: ${id}`);
    return found;
  };
  const options = command.id === undefined ? {} : { messageId: text(command, 'send', 'id', { empty: false }) };
  switch (what) {
    case 'text': {
      if (command.reply_to !== undefined) options.quoted = about(text(command, 'send', 'reply_to', { empty: false }));
      return { jid, content: { text: text(command, 'send', 'text') }, options };
    }
    case 'reaction': {
      const { key } = about(text(value, '"reaction"', 'id', { empty: false }));
      return { jid, content: { react: { text: text(value, '"reaction"', 'emoji'), key } }, options };
    }
    case 'edit': {
      const { key } = about(text(value, '"edit"', 'id', { empty: false }));
      return { jid, content: { text: text(value, '"edit"', 'text'), edit: key }, options };
    }
    case 'revoke': return { jid, content: { delete: about(text(command, 'send', 'revoke', { empty: false })).key }, options };
    case 'contact': {
      const displayName = text(value, '"contact"', 'name');
      return { jid, content: { contacts: { displayName, contacts: [{ displayName, vcard: text(value, '"contact"', 'vcard') }] } }, options };
    }
    default: {
      const location = { degreesLatitude: degrees(value, 'latitude', 90), degreesLongitude: degrees(value, 'longitude', 180) };
      for (const name of ['name', 'address']) {
        if (value[name] !== undefined) location[name] = text(value, '"location"', name);
      }
      return { jid, content: { location }, options };
    }
  }
}

/** The text of a message and the id of the one that it answers, reacts to, edits or revokes. */
function saidBy(content) {
  const { Type } = baileys.proto.Message.ProtocolMessage;
  const protocol = content.protocolMessage;
  if (protocol) {
    if (protocol.type === Type.REVOKE) return { kind: 'revoke', text: '', about: protocol.key?.id };
    if (protocol.type !== Type.MESSAGE_EDIT) return null;  // key shares, history: not something a user would see
    const { text: edited } = saidBy(baileys.normalizeMessageContent(protocol.editedMessage) ?? {}) ?? {};
    return { kind: 'edit', text: edited ?? '', about: protocol.key?.id };
  }
  if (content.reactionMessage) {
    return { kind: 'reaction', text: content.reactionMessage.text ?? '', about: content.reactionMessage.key?.id };
  }
  const type = baileys.getContentType(content);
  if (!type) return null;
  const part = content[type];
  if (type === 'conversation') return { kind: 'text', text: part };
  const about = part?.contextInfo?.stanzaId || undefined;
  if (type === 'extendedTextMessage') return { kind: 'text', text: part.text ?? '', about };
  return { kind: type.replace(/Message$/, ''), text: part?.caption ?? part?.displayName ?? part?.name ?? '', about };
}

/** The event for what messages.upsert brings, or null when it is nothing that a user would see. `me` is the own JID. */
export function messageEvent(message, me, offline) {
  const { key } = message;
  const chat = baileys.jidNormalizedUser(key.remoteJid ?? '');
  const from = key.participant || (key.fromMe ? me : key.remoteJid);
  if (message.messageStubType === baileys.WAMessageStubType.CIPHERTEXT) {
    return { event: 'undecryptable', id: key.id, chat, from, text: message.messageStubParameters?.[0] ?? '' };
  }
  const content = baileys.normalizeMessageContent(message.message);
  const said = content && saidBy(content);
  if (!said) return null;
  const { kind, text: words, about } = said;
  return { event: 'message', id: key.id, chat, from, kind, text: words, ...(about && { about }), from_me: Boolean(key.fromMe), offline };
}

/** What became of a sent message, by the server's ack. */
export function ackEvent({ attrs }) {
  if (attrs.error === undefined) return { event: 'sent', id: attrs.id };
  return { event: 'send_failed', id: attrs.id, reason: 'refused', code: Number(attrs.error) };
}

/** What somebody shows, by a stanza `presence` or `chatstate`; null when it says nothing. */
export function shownEvent({ tag, attrs, content }) {
  const chat = baileys.jidNormalizedUser(attrs.from ?? '');
  if (!chat) return null;
  if (tag === 'presence') {
    const kind = attrs.type === 'unavailable' ? 'unavailable' : 'available';
    return { event: 'presence', from: chat, kind, ...(/^\d+$/.test(attrs.last) && { last_seen: Number(attrs.last) }) };
  }
  const [state] = Array.isArray(content) ? content : [];
  if (!['composing', 'paused'].includes(state?.tag)) return null;
  const kind = state.attrs?.media === 'audio' ? 'recording' : state.tag;
  return { event: 'typing', chat, from: attrs.participant ? baileys.jidNormalizedUser(attrs.participant) : chat, kind };
}
