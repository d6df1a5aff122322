-- FB-085: a large group is out of step, and a thousand retry receipts come in seconds; all are answered at once, and the account
-- is locked. Here a bucket for each group and one for the account bound that, and new messages do not stand behind them.
-- What we would send again of a status is left to later: nobody sends one yet.
scenario {
  name = "a thousand retries are answered slowly, and new messages are not",
  tags = { "retries", "groups", "load", "FB-085" },
  loopback_scale = 1/20,
  needs = { "send", "groups" },
  symptom = { "account locked after mass resends", "recv retry for not existing message", "429" },
}
local kMembers, kMessages = 20, 50
if mode ~= "sim" then kMembers, kMessages = 5, 12 end
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local members = { phone }
for i = 1, kMembers do members[i + 1] = server:phone { number = tostring(15550300000 + i) } end
local group = server:group { subject = "Everybody", participants = members }
device:await_sent(device:send(group, "first"))
for i = 2, #members do members[i]:await_message { text = "first", within = "30s" } end

-- Each member asks for each message, once.
local asking = server:fault {
  fault = "retry_receipt", args = { count = 1 }, budget = kMembers * kMessages,
  where = { device = device, stanza = { tag = "message", enc = "skmsg" } },
}
local function stanzas(id)
  return server:history("stanza_in", { device = device, data = { tag = "message", id = id } })
end
local sent = {}
for i = 1, kMessages do
  sent[i] = device:send(group, "text " .. i)
  device:await_sent(sent[i])
end
wait_until(function() return asking.fired == kMembers * kMessages end, { within = "30s" })

-- Forty at once to one group, then one a second; a new message waits for none of them.
local fresh = device:send(other, "something new")
device:await_sent(fresh, { within = "5s" })
other:await_message { id = fresh, within = "5s" }
local to_all = device:send(group, "something new for everybody")
device:await_sent(to_all, { within = "5s" })
members[2]:await_message { id = to_all, within = "5s" }
local seconds = (stanzas(fresh.id)[1].at - stanzas(sent[1].id)[1].at) / (mode == "sim" and 1 or 1/20)
local resends = 0
for i = 1, kMessages do resends = resends + #stanzas(sent[i].id) - 1 end
expect(resends):at_most(41 + math.ceil(seconds))
expect(resends):at_least(1)

-- In the end everybody has everything.
for i = 2, #members do
  for j = 1, kMessages do members[i]:await_message { id = sent[j], within = "30m" } end
end

-- A status of yesterday that cannot be read is not asked for; one of today is.
local function status(id, age)
  local nonsense = "33" .. string.rep("08", 90)
  server:fault {
    fault = "inject", when = { manual = true }, where = { device = device },
    args = { node = { tag = "message",
                      attrs = { from = "status@broadcast", participant = other.number .. "@s.whatsapp.net", id = id, type = "text",
                                t = tostring(math.floor(1767225600 - age)) },
                      children = { { tag = "enc", attrs = { v = "2", type = "skmsg" }, hex = nonsense } } } },
  }:fire()
end
if mode == "sim" then
  status("OLD", 25 * 3600)
  device:await_undecryptable { id = "OLD", within = "20s" }
  status("NEW", 0)
  server:await("stanza_in", { device = device, data = { tag = "receipt", type = "retry", id = "NEW" }, within = "20s" })
  expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry", id = "OLD" } })):equals(0)
end
