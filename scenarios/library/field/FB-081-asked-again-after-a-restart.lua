-- FB-081: the recipient sees "Waiting for this message" for ever: the client has no copy of what it sent. Here what was
-- sent is kept, over a restart too, and a retry is answered with it.
-- Left to later: a message past its time to live, which is a counted miss and no empty message.
scenario {
  name = "a message that the recipient could not read is sent again, after a restart too",
  tags = { "messages", "retries", "FB-081" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Waiting for this message", "This may take a while" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_sent(device:send(other, "hello"))
other:await_message { text = "hello", within = "20s" }

local spoilt = server:fault {
  fault = "corrupt_enc", args = { part = "mac" },
  where = { device = device, direction = "to_server", stanza = { tag = "message" } },
}
local mute = server:fault {
  fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "receipt", type = "retry" } },
}
local sent = device:send(other, "the one that must not be lost")
device:await_sent(sent)
other:await_undecryptable { id = sent, within = "20s" }
device:kill()
spoilt:remove()
mute:remove()
device:start()
device:await("connected", { within = "20s" })
local read = other:await_message { id = sent, within = "30s" }
expect(read.text):equals("the one that must not be lost")
