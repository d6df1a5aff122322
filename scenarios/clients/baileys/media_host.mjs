/**
 * Where media comes from. Baileys 6 fetches what its phone tells it of the past from `https://mmg.whatsapp.net`, a host
 * that is written into it. It hands the `options` of its configuration to axios, so an agent there decides which
 * socket such a request goes over: one to the server under test, which speaks HTTP on the port of its WebSocket.
 */
import { Agent } from 'node:https';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

class MediaHost extends Agent {
  #dial;

  constructor(dial) {
    super({ keepAlive: false });
    this.#dial = dial;
  }

  createConnection() {
    return this.#dial();
  }
}

/** The agent for a WebSocket URL: over TLS for wss:, without for ws:. */
export function mediaAgent(webSocketUrl) {
  const { protocol, hostname, port } = new URL(webSocketUrl);
  const host = hostname.replace(/^\[|\]$/g, '');
  const tls = protocol === 'wss:';
  const target = { host, port: Number(port) || (tls ? 443 : 80) };
  return new MediaHost(() => (tls ? connectTls({ ...target, ...(!isIP(host) && { servername: host }) }) : connect(target)));
}
