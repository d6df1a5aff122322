-- FB-073: a store from before contacts had LIDs has sessions under numbers only. The migration copies them, deletes the
-- old ones, and what is on its way under the number finds none: "No session record". Here nothing is moved: a session is
-- found under either name of its account, over a restart too.
scenario {
  name = "a session that began under the number is found under the LID, in the middle of a burst",
  tags = { "messages", "lid", "FB-073" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "No session record", "primary phone unreadable after old pairing", "SessionError: No session record" },
}
local kMany  = mode == "sim" and 300 or 60
local phone  = server:phone { number = "15550100001" }
local peer   = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
local at_peer = { device = device, direction = "to_client", stanza = { tag = "message" } }
local numbers = server:fault { fault = "lid", args = { kind = "other" }, where = at_peer }
local nothing_else = server:fault { fault = "lid", args = { kind = "missing" }, where = at_peer }
local count = 0
local function burst(texts)
  local last
  for _ = 1, texts do
    count = count + 1
    last = peer:send(phone, "text " .. count)
  end
  return last
end
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
device:await_message { id = burst(kMany / 6), within = "20s" }
expect(device.inbox[1].from:find("@s.whatsapp.net", 1, true)):is_not_nil()
expect(device.stored.number_of or 0):equals(0)         -- nobody has told it a LID
device:kill()
device:start()
device:await("connected", { within = "1m" })

-- The switch, while messages are on their way: by LID with the number beside it, by number again, by LID alone.
parallel(
  function() burst(kMany / 6 * 4) end,
  function()
    wait_until(function() return count >= kMany / 6 * 2 end)
    nothing_else:remove()
    wait_until(function() return count >= kMany / 6 * 3 end)
    numbers:remove()
  end)
device:await_message { text = "text " .. count, within = "1m" }
expect(device.inbox[#device.inbox].from:find("@lid", 1, true)):is_not_nil()
local alone = server:fault { fault = "lid", args = { kind = "missing" }, where = at_peer }
device:kill()
device:start()
device:await("connected", { within = "1m" })
device:await_message { id = burst(kMany / 6), within = "1m" }
local answer = device:send(peer, "answer")
device:await_sent(answer, { within = "20s" })
peer:await_message { id = answer, text = "answer", within = "20s" }

expect(alone.fired):at_least(kMany / 6)
expect(#device.inbox):equals(kMany)
for i, message in ipairs(device.inbox) do
  if message.text ~= "text " .. i then expect(message.text):equals("text " .. i) break end
end
expect(#device.undecryptable):equals(0)
expect(#server:history("stanza_in", { device = device, data = { tag = "receipt", type = "retry" } })):equals(0)
expect(device.stored.session):equals(2)                -- own phone, and the one that there was
