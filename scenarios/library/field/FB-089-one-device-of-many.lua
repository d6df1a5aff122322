-- FB-089: one device of a recipient has bad keys, and the whole send fails; or a list of devices that came empty or wrong
-- is believed, and the phone itself gets nothing. Here each device is written to by itself, who is left out is
-- counted, device 0 is always there, and a list that the server does not agree with is asked for again.
-- Left to later: the gateway's 422, and `partial` in its answers.
scenario {
  name = "of several devices the one with bad keys is left out, and lists that are wrong are asked for again",
  tags = { "messages", "devices", "FB-089" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "one bad device fails the send", "All encryptions failed", "primary device missing", "participant hash mismatch" },
}
local phone   = server:phone { number = "15550100001" }
local other   = server:phone { number = "15550100002" }
local device  = engine:device "shop-1"
local theirs  = {}
local contact = engine.new "contact"
for i = 1, 5 do theirs[i] = contact:device("desk-" .. i) end
local function link(who, companion)
  companion:start()
  who:scan(companion:await_qr { within = "1m" }, { within = "1m" })
  companion:await("connected", { within = "1m" })
end
link(phone, device)
link(other, theirs[1])
link(other, theirs[2])
local function skipped(sending)
  for _, row in ipairs(device:history("sent")) do
    if row.id == sending.id then return row.skipped_devices or 0 end
  end
end
local function say(text, readers)
  local sending = device:send(other, text)
  device:await_sent(sending, { within = "20s" })
  for _, reader in ipairs(readers) do reader:await_message { id = sending.id, text = text, within = "20s" } end
  return sending
end
local at_usync = { device = device, direction = "to_client", stanza = { tag = "iq", child = "usync" } }

-- The list comes without any device: the phone is written to, and when the server names who is missing, the others.
local list = "usync/list/user/devices/device-list"
local empty = server:fault { fault = "mutate", args = { child = list, value = "" }, where = at_usync, budget = 1 }
say("nobody has no devices", { other, theirs[1], theirs[2] })
expect(empty.fired):equals(1)

-- A companion more, and a list without device 0: it is written to all the same, at once.
link(other, theirs[3])
local headless = server:fault { fault = "mutate", args = { child = list .. "/device", drop = true }, where = at_usync, budget = 1 }
local sent = say("to all four", { other, theirs[1], theirs[2], theirs[3] })
expect(headless.fired):equals(1)
expect(#server:history("stanza_in", { device = device, data = { tag = "message", id = sent.id } })):equals(1)

-- One more, with bad keys.
local bad = server:fault { fault = "bundle", args = { kind = "bad_signature" }, where = { device = device } }
link(other, theirs[4])
local partial = say("four of five", { other, theirs[1], theirs[2], theirs[3] })
expect(skipped(partial)):equals(1)
bad:remove()
local whole = say("five of five", { other, theirs[1], theirs[2], theirs[3], theirs[4] })
expect(skipped(whole)):equals(0)

-- Nobody tells of a companion that is gone and one that came: the server's hash does.
local unheard = server:fault {
  fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "notification", type = "devices" } },
}
other:unlink(theirs[1])
theirs[1]:await("logged_out", { within = "20s" })
link(other, theirs[5])
expect(unheard.fired):at_least(2)
unheard:remove()
say("to the one that came", { other, theirs[2], theirs[3], theirs[4], theirs[5] })

-- And if all keys are bad, it says so.
server:fault { fault = "bundle", args = { kind = "bad_signature" }, where = { device = device } }
local stranger = server:phone { number = "15550100003" }
expect.error(function() device:await_sent(device:send(stranger, "hello"), { within = "20s" }) end):code("no_sessions")
