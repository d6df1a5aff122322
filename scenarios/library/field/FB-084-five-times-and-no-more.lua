-- FB-084: two that cannot read each other ask for ever, and the application never hears of it. Here it is five times each way,
-- counted before anything is done; then, or when nothing comes for 45 s, the message is reported as undecryptable.
scenario {
  name = "retries end: five resends, five receipts, and a word to the application",
  tags = { "retries", "FB-084" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "retry count exceeded", "reached retry limit", "recv retry request, but message not available" },
}
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
device:await_message { id = other:send(phone, "before"), within = "20s" }

local function count(tag, data)
  data.tag = tag
  return #server:history("stanza_in", { device = device, data = data })
end

-- A peer that never reads it, and asks far more often than phones do. The own phone, whose copies name no sender, reads.
local deaf = server:fault {
  fault = "retry_receipt", args = { count = 1 },
  where = { device = device, stanza = { tag = "message", sender_pn = phone.number .. "@s.whatsapp.net" } },
}
local sent = device:send(other, "never read")
device:await_sent(sent)
wait_until(function() return count("message", { id = sent.id }) == 6 end, { within = "30s" })
local kMore = mode == "sim" and 1000 or 100
local more = server:fault {
  fault = "inject", budget = kMore, when = { manual = true }, where = { device = device },
  args = { node = { tag = "receipt", attrs = { from = other.number .. "@s.whatsapp.net", id = sent.id, type = "retry" },
                    children = { { tag = "retry", attrs = { count = "2", id = sent.id, v = "1" } } } } },
}
for _ = 1, kMore do more:fire() end
device:await_sent(device:send(other, "something else"))
expect(count("message", { id = sent.id })):equals(6)
deaf:remove()

-- What comes to us and can never be read.
local spoilt = server:fault {
  fault = "corrupt_enc", args = { part = "mac" }, where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local bad = other:send(phone, "always spoilt")
device:await_undecryptable { id = bad, within = "60s" }
expect(count("receipt", { type = "retry", id = bad })):equals(5)

-- What cannot be read once, and is never sent again: its retry is lost.
local silent = server:fault {
  fault = "drop", where = { device = device, direction = "to_server", stanza = { tag = "receipt", type = "retry" } },
}
local gone = other:send(phone, "spoilt, and never sent again")
device:await_undecryptable { id = gone, within = "90s" }
expect(silent.fired):equals(1)
for _, one in ipairs { spoilt, silent } do one:remove() end
device:await_message { id = other:send(phone, "after"), text = "after", within = "20s" }
expect(#device.undecryptable):equals(2)
