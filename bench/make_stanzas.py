#!/usr/bin/env python3
"""Writes bench/stanzas.json: typical stanzas of a session, in the form of tests/vectors/binary-nodes.json.

From the project root: python3 bench/make_stanzas.py > bench/stanzas.json
Everything is derived from fixed labels, so the output is always the same.
"""
import hashlib
import json

SERVER = "@s.whatsapp.net"
counter = 0
stanzas = []


def raw(size):
    """The next `size` bytes that look random."""
    global counter
    counter += 1
    out, block = b"", 0
    while len(out) < size:
        out += hashlib.sha256(f"{counter}.{block}".encode()).digest()
        block += 1
    return out[:size]


def number(below):
    return int.from_bytes(raw(6), "big") % below


def digits(count):
    return str(10 ** (count - 1) + number(9 * 10 ** (count - 1)))


def node(tag, attrs=None, content=None):
    if isinstance(content, bytes):
        content = {"hex": content.hex()}
    elif isinstance(content, str):
        content = {"text": content}
    return {"tag": tag, "attrs": {k: str(v) for k, v in (attrs or {}).items()}, "content": content}


def add(name, stanza):
    stanzas.append({"name": f"bench: {name}", "node": stanza})


def pn(device=0):
    return f"1555{digits(7)}" + (f":{device}" if device else "") + SERVER


def lid(device=0):
    return digits(15) + (f":{device}" if device else "") + "@lid"


def group():
    return "120363" + digits(12) + "@g.us"


def web_id():
    return "3EB0" + raw(9).hex().upper()


def phone_id():
    return raw(16).hex().upper()


def iq_id():
    return f"{digits(5)}.{digits(5)}-{1 + number(200)}"


def now():
    return str(1700000000 + number(10_000_000))


def enc(kind, size, **more):
    return node("enc", {"v": "2", "type": kind, **more}, raw(size))


def key(tag="key"):
    children = [node("id", {}, raw(3)), node("value", {}, raw(32))]
    return node(tag, {}, children + ([node("signature", {}, raw(64))] if tag == "skey" else []))


def bundle(jid):
    children = [node("registration", {}, raw(4)), node("type", {}, b"\x05"), node("identity", {}, raw(32)), key("skey"), key()]
    return node("user", {"jid": jid}, children)


def iq(kind, attrs, content=None):
    to = {"to": SERVER} if kind in ("get", "set") else {"from": SERVER}
    return node("iq", {**to, "type": kind, "id": iq_id(), **attrs}, content)


# Requests of a client, and their answers.
add("ping", iq("get", {"xmlns": "w:p"}, [node("ping")]))
add("ping result", iq("result", {}))
add("ping of the server", node("iq", {"from": SERVER, "type": "get", "id": digits(10), "xmlns": "urn:xmpp:ping"}))
add("pong", node("iq", {"to": SERVER, "type": "result", "id": digits(10)}))
add("passive active", iq("set", {"xmlns": "passive"}, [node("active")]))
add("pre-key count", iq("get", {"xmlns": "encrypt"}, [node("count")]))
add("pre-key count result", iq("result", {}, [node("count", {"value": 812})]))
add("digest request", iq("get", {"xmlns": "encrypt"}, [node("digest")]))
add("props request", iq("get", {"xmlns": "abt"}, [node("props", {"protocol": 1, "hash": raw(8).hex()})]))
add("props result, 200 entries", iq("result", {}, [node("props", {"protocol": 1, "hash": "1R", "refresh": 86400}, [
    node("prop", {"config_code": number(30000), "config_value": number(2)}) for _ in range(200)])]))
add("blocklist request", iq("get", {"xmlns": "blocklist"}))
add("blocklist result", iq("result", {}, [node("list", {"dhash": digits(13)}, [node("item", {"jid": lid()}) for _ in range(12)])]))
add("privacy request", iq("get", {"xmlns": "privacy"}, [node("privacy")]))
add("privacy result", iq("result", {}, [node("privacy", {}, [
    node("category", {"name": name, "value": "all"}) for name in
    ("readreceipts", "profile", "status", "online", "last", "groupadd", "calladd", "messages")])]))
add("clean dirty bits", iq("set", {"xmlns": "urn:xmpp:whatsapp:dirty"}, [node("clean", {"type": "account_sync", "timestamp": now()})]))
add("media connection", iq("set", {"xmlns": "w:m"}, [node("media_conn")]))
add("media connection result", iq("result", {}, [node("media_conn", {"auth": raw(60).hex(), "ttl": 300, "auth_ttl": 21600, "max_buckets": 12}, [
    node("host", {"hostname": f"media-{c}.cdn.whatsapp.net", "type": "primary"}) for c in ("fra3-1", "fra5-2", "muc2-1")])]))
add("picture request", node("iq", {"target": pn(), "to": SERVER, "type": "get", "xmlns": "w:profile:picture", "id": iq_id()}, [node("picture", {"type": "image", "query": "url"})]))
add("picture result", iq("result", {}, [node("picture", {"id": digits(10), "type": "image", "url": "https://pps.whatsapp.net/v/t61." + raw(90).hex(), "direct_path": "/v/t61." + raw(60).hex()})]))
add("app state request", iq("set", {"xmlns": "w:sync:app:state"}, [node("sync", {}, [
    node("collection", {"name": name, "version": number(300), "return_snapshot": "false"}) for name in
    ("critical_block", "critical_unblock_low", "regular_high", "regular_low", "regular")])]))
add("app state result", iq("result", {}, [node("sync", {}, [
    node("collection", {"name": name, "version": number(300)}, [node("patches", {}, [node("patch", {}, raw(300)), node("patch", {}, raw(450))])])
    for name in ("critical_block", "regular_high", "regular")])]))
add("group participating", node("iq", {"to": "@g.us", "xmlns": "w:g2", "type": "get", "id": iq_id()}, [node("participating", {}, [node("participants"), node("description")])]))
add("group metadata request", node("iq", {"to": group(), "xmlns": "w:g2", "type": "get", "id": iq_id()}, [node("query", {"request": "interactive"})]))
add("iq error", iq("error", {}, [node("error", {"code": 404, "text": "item-not-found"})]))
add("iq error rate", iq("error", {}, [node("error", {"code": 429, "text": "rate-overlimit"})]))
add("pairing code request", iq("set", {"xmlns": "md"}, [node("link_code_companion_reg", {"jid": pn(), "stage": "companion_hello", "should_show_push_notification": "true"}, [
    node("link_code_pairing_wrapped_companion_ephemeral_pub", {}, raw(80)), node("companion_server_auth_key_pub", {}, raw(32)),
    node("companion_platform_id", {}, "1"), node("companion_platform_display", {}, "Chrome (Mac OS)"), node("link_code_pairing_nonce", {}, "0")])]))
add("pair-device", node("iq", {"from": SERVER, "type": "set", "id": digits(9), "xmlns": "md"}, [node("pair-device", {}, [
    node("ref", {}, ("2@" + raw(75).hex()).encode()) for _ in range(6)])]))
add("pair-success", node("iq", {"from": SERVER, "type": "set", "id": digits(9), "xmlns": "md"}, [node("pair-success", {}, [
    node("device-identity", {}, raw(160)), node("platform", {"name": "smbi"}), node("device", {"jid": pn(12), "lid": lid(12)})])]))
add("success", node("success", {"t": now(), "props": 27, "companion_enc_static": raw(16).hex(), "lid": lid(7), "location": "frc", "display_name": "Jane Doe"}))
add("unified session", node("ib", {}, [node("unified_session", {"id": digits(9)})]))

# usync.
for users in (1, 2, 5, 20):
    asked = [lid() if i % 2 else pn() for i in range(users)]
    add(f"usync request, {users} users", iq("get", {"xmlns": "usync"}, [node("usync", {"context": "message", "mode": "query", "sid": iq_id(), "last": "true", "index": 0}, [
        node("query", {}, [node("devices", {"version": 2}), node("lid")]), node("list", {}, [node("user", {"jid": j}) for j in asked])])]))
    answers = [node("user", {"jid": j}, [
        node("devices", {}, [
            node("device-list", {"hash": "2:" + raw(4).hex()}, [node("device", {"id": 0})] + [
                node("device", {"id": 1 + number(40), "key-index": 1 + k}) for k in range(number(4))]),
            node("key-index-list", {"ts": now()}, raw(88))]),
        node("lid", {"val": lid()})]) for j in asked]
    add(f"usync result, {users} users", iq("result", {}, [node("usync", {"context": "message", "mode": "query", "sid": iq_id(), "last": "true", "index": 0}, [
        node("result", {}, [node("devices"), node("lid")]), node("list", {}, answers)])]))

# Pre-keys.
for keys in (5, 30, 100, 812):
    add(f"pre-key upload, {keys} keys", iq("set", {"xmlns": "encrypt"}, [
        node("registration", {}, raw(4)), node("type", {}, b"\x05"), node("identity", {}, raw(32)),
        node("list", {}, [key() for _ in range(keys)]), key("skey")]))
for devices in (1, 3, 10):
    jids = [lid(d) for d in range(devices)]
    add(f"pre-key request, {devices} devices", iq("get", {"xmlns": "encrypt"}, [node("key", {}, [node("user", {"jid": j}) for j in jids])]))
    add(f"pre-key result, {devices} devices", iq("result", {}, [node("list", {}, [bundle(j) for j in jids])]))
add("signed pre-key rotation", iq("set", {"xmlns": "encrypt"}, [node("rotate", {}, [key("skey")])]))

# Groups.
for members in (3, 16, 64, 256):
    people = [node("participant", {"jid": lid(), "phone_number": pn(), **({"type": "admin"} if i % 9 == 0 else {})}) for i in range(members)]
    add(f"group info, {members} members", node("iq", {"from": group(), "type": "result", "id": iq_id()}, [node("group", {
        "id": digits(18), "subject": "Allotment 14, water rota", "s_t": now(), "s_o": pn(), "creation": now(), "creator": pn(), "addressing_mode": "lid",
        "size": members, "p_v_id": digits(16)}, people + [node("description", {"id": raw(4).hex().upper(), "t": now()}, [node("body", {}, b"Who waters when. Keys are with Ada.")])])]))

# Messages of a client.
for devices in (2, 4, 9):
    add(f"message to {devices} devices", node("message", {"id": web_id(), "to": lid(), "type": "text"}, [
        node("participants", {}, [node("to", {"jid": lid(d)}, [enc("pkmsg" if d == 1 else "msg", 180 + number(60))]) for d in range(devices)]),
        node("device-identity", {}, raw(150))]))
add("message to a group, keys known", node("message", {"id": web_id(), "to": group(), "type": "text", "addressing_mode": "lid"}, [enc("skmsg", 190)]))
add("message to a group with keys for 12", node("message", {"id": web_id(), "to": group(), "type": "text", "addressing_mode": "lid"}, [
    enc("skmsg", 190), node("participants", {}, [node("to", {"jid": lid(d)}, [enc("msg", 240)]) for d in range(12)])]))
add("peer message", node("message", {"id": web_id(), "to": pn(), "type": "text", "category": "peer", "push_priority": "high"}, [enc("msg", 120)]))
add("reaction", node("message", {"id": web_id(), "to": lid(), "type": "reaction"}, [node("participants", {}, [
    node("to", {"jid": lid(d)}, [enc("msg", 130, **{"decrypt-fail": "hide"})]) for d in range(2)])]))

# Messages of the server.
for kind, size in (("pkmsg", 330), ("msg", 110), ("msg", 210), ("msg", 900)):
    add(f"incoming {kind} of {size} bytes", node("message", {"from": lid(), "sender_pn": pn(), "id": phone_id(), "t": now(), "type": "text", "notify": "Jane Doe"}, [enc(kind, size)]))
add("incoming from an own device", node("message", {"from": pn(2), "recipient": lid(), "id": web_id(), "t": now(), "type": "text", "notify": "Me"}, [enc("msg", 250)]))
add("incoming image", node("message", {"from": lid(), "sender_pn": pn(), "id": phone_id(), "t": now(), "type": "media", "notify": "Jane Doe"}, [enc("msg", 700, mediatype="image")]))
add("incoming offline", node("message", {"from": pn(), "id": web_id(), "t": now(), "type": "text", "notify": "Zo\u00eb", "offline": number(5)}, [enc("msg", 140)]))
for size in (150, 420):
    add(f"incoming group message of {size} bytes", node("message", {"from": group(), "participant": lid(3), "participant_pn": pn(3), "addressing_mode": "lid", "id": web_id(), "t": now(), "type": "text", "notify": "Ada"}, [enc("skmsg", size)]))
add("incoming group message with key", node("message", {"from": group(), "participant": lid(3), "participant_pn": pn(3), "addressing_mode": "lid", "id": web_id(), "t": now(), "type": "text", "notify": "Ada"}, [enc("pkmsg", 400), enc("skmsg", 170)]))
add("incoming status", node("message", {"from": "status@broadcast", "participant": pn(), "id": phone_id(), "t": now(), "type": "media", "notify": "Ben"}, [enc("skmsg", 800, mediatype="video")]))
add("incoming newsletter post", node("message", {"from": "120363" + digits(12) + "@newsletter", "server_id": number(900), "id": phone_id(), "t": now(), "type": "text"}, [node("plaintext", {}, raw(240))]))

# Acks and receipts, the most frequent of all.
add("ack of a message", node("ack", {"class": "message", "id": web_id(), "from": lid(), "t": now()}))
add("ack of a group message", node("ack", {"class": "message", "id": web_id(), "from": group(), "t": now(), "phash": "2:" + raw(4).hex()}))
add("ack of a receipt", node("ack", {"class": "receipt", "id": web_id(), "to": lid(2), "type": "read"}))
add("ack of a group receipt", node("ack", {"class": "receipt", "id": phone_id(), "to": group(), "participant": lid(4)}))
add("ack of a notification", node("ack", {"class": "notification", "id": digits(10), "to": pn(), "type": "devices"}))
add("ack of a call", node("ack", {"class": "call", "id": phone_id(), "to": lid(1), "type": "offer"}))
add("ack with an error", node("ack", {"class": "message", "id": web_id(), "from": lid(), "error": 463}))
add("nack", node("ack", {"class": "message", "id": phone_id(), "to": group(), "participant": lid(2), "error": 500}))
add("delivery receipt", node("receipt", {"id": phone_id(), "to": lid()}))
add("delivery receipt of a device", node("receipt", {"id": web_id(), "from": lid(5), "t": now()}))
add("read receipt", node("receipt", {"id": phone_id(), "to": lid(), "type": "read", "t": now()}))
add("read receipt from a group", node("receipt", {"from": group(), "participant": lid(1), "id": web_id(), "type": "read", "t": now()}))
add("played receipt", node("receipt", {"id": phone_id(), "from": lid(), "type": "played", "t": now()}))
add("sender receipt", node("receipt", {"id": web_id(), "to": pn(), "recipient": lid(), "type": "sender"}))
add("inactive receipt", node("receipt", {"id": web_id(), "to": pn(), "type": "inactive"}))
add("history receipt", node("receipt", {"id": phone_id(), "to": pn(), "type": "hist_sync"}))
add("read receipt for 8 messages", node("receipt", {"id": phone_id(), "to": lid(), "type": "read", "t": now()}, [node("list", {}, [node("item", {"id": phone_id()}) for _ in range(7)])]))
add("retry receipt", node("receipt", {"id": web_id(), "to": lid(), "type": "retry"}, [
    node("retry", {"count": 1, "id": web_id(), "t": now(), "v": 1}), node("registration", {}, raw(4))]))
add("retry receipt with keys", node("receipt", {"id": web_id(), "to": group(), "participant": lid(1), "type": "retry"}, [
    node("retry", {"count": 2, "id": web_id(), "t": now(), "v": 1}), node("registration", {}, raw(4)),
    node("keys", {}, [node("type", {}, b"\x05"), node("identity", {}, raw(32)), key(), key("skey"), node("device-identity", {}, raw(150))])]))

# Presence and calls.
add("presence available", node("presence", {"name": "Jane Doe", "type": "available"}))
add("presence unavailable", node("presence", {"name": "Jane Doe", "type": "unavailable"}))
add("presence subscribe", node("presence", {"to": lid(), "id": iq_id(), "type": "subscribe"}))
add("presence of a contact", node("presence", {"from": lid(), "type": "unavailable", "last": now()}))
add("chat state composing", node("chatstate", {"from": lid()}, [node("composing")]))
add("chat state recording", node("chatstate", {"from": group(), "participant": lid()}, [node("composing", {"media": "audio"})]))
add("chat state paused", node("chatstate", {"to": lid()}, [node("paused")]))
add("call offer", node("call", {"from": lid(), "id": phone_id(), "t": now(), "version": "2.24.9.78", "platform": "android"}, [node("offer", {"call-id": phone_id(), "call-creator": lid()}, [
    node("audio", {"enc": "opus", "rate": 16000}), node("net", {"medium": 3}), node("capability", {"ver": 1}, raw(7)), enc("msg", 150)])]))
add("call terminate", node("call", {"from": lid(), "id": phone_id(), "t": now()}, [node("terminate", {"call-id": phone_id(), "call-creator": lid(), "reason": "timeout"})]))
add("call reject", node("call", {"from": pn(2), "to": lid(), "id": iq_id()}, [node("reject", {"call-id": phone_id(), "call-creator": lid(), "count": 0})]))

# Notifications.
add("notification, picture", node("notification", {"from": lid(), "type": "picture", "id": digits(10), "t": now()}, [node("set", {"jid": lid(), "id": digits(10), "author": lid()})]))
add("notification, device list", node("notification", {"from": lid(), "type": "devices", "id": digits(10), "t": now()}, [node("add", {"device_hash": "2:" + raw(4).hex()}, [node("device", {"jid": lid(4), "key-index": 3}), node("key-index-list", {"ts": now()}, raw(88))])]))
add("notification, low pre-keys", node("notification", {"from": SERVER, "type": "encrypt", "id": digits(10), "t": now()}, [node("count", {"value": 4})]))
add("notification, identity", node("notification", {"from": lid(), "type": "encrypt", "id": digits(10), "t": now()}, [node("identity")]))
add("notification, app state", node("notification", {"from": pn(), "type": "server_sync", "id": digits(10), "t": now()}, [node("collection", {"name": "regular_high", "version": 41})]))
add("notification, group subject", node("notification", {"from": group(), "type": "w:gp2", "id": digits(10), "participant": lid(), "participant_pn": pn(), "t": now(), "notify": "Ada"}, [node("subject", {"subject": "Allotment 15", "s_t": now(), "s_o": lid()})]))
add("notification, group add", node("notification", {"from": group(), "type": "w:gp2", "id": digits(10), "participant": lid(), "t": now()}, [node("add", {}, [node("participant", {"jid": lid(), "phone_number": pn()}) for _ in range(4)])]))
add("notification, group promote", node("notification", {"from": group(), "type": "w:gp2", "id": digits(10), "participant": lid(), "t": now()}, [node("promote", {}, [node("participant", {"jid": lid()})])]))
add("notification, privacy token", node("notification", {"from": lid(), "type": "privacy_token", "id": digits(10), "t": now()}, [node("tokens", {}, [node("token", {"t": now(), "type": "trusted_contact"}, raw(11))])]))
add("notification, account sync", node("notification", {"from": pn(), "type": "account_sync", "id": digits(10), "t": now()}, [node("disappearing_mode", {"duration": 86400, "t": now()})]))
add("notification, media retry", node("notification", {"from": lid(), "type": "mediaretry", "id": web_id(), "t": now()}, [node("encrypt", {}, [node("enc_p", {}, raw(60)), node("enc_iv", {}, raw(12))]), node("rmr", {"jid": lid(), "from_me": "false"})]))

# The server's own stanzas.
add("edge routing", node("ib", {"from": SERVER}, [node("edge_routing", {}, [node("routing_info", {}, raw(9))])]))
add("offline preview", node("ib", {"from": SERVER}, [node("offline_preview", {"count": 14, "message": 9, "receipt": 3, "notification": 2, "appdata": 0})]))
add("offline end", node("ib", {"from": SERVER}, [node("offline", {"count": 14})]))
add("dirty groups", node("ib", {"from": SERVER}, [node("dirty", {"type": "groups", "timestamp": now()})]))
add("stream error, replaced", node("stream:error", {}, [node("conflict", {"type": "replaced"})]))
add("stream error, acknowledge", node("stream:error", {}, [node("ack", {"class": "message", "id": web_id()})]))
add("failure", node("failure", {"reason": 401, "location": "frc"}))

print('{\n "about": "Written by bench/make_stanzas.py. Typical stanzas, synthetic; a text with @ is a JID.",\n "stanzas": [')
print(",\n".join("  " + json.dumps(s) for s in stanzas))
print(" ]\n}")
