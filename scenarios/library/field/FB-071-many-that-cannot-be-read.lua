-- FB-071: peers keep sending what cannot be read, and each failure is a line with the whole error in the log: 168,000
-- in two hours, until the heap is full. Here there is one line for a peer and a reason in a minute.
-- Left to later: the memory of the process (a soak), and the time of sends meanwhile.
scenario {
  name = "messages that cannot be read do not flood the log, and sending goes on",
  tags = { "signal", "retries", "log", "FB-071" },
  modes = { "sim" },
  modes_reason = "ten minutes of messages from ten peers",
  needs = { "send" },
  symptom = { "heap out of memory", "Bad MAC", "Failed to decrypt message", "giant logs" },
}
local phone  = server:phone { number = "15550100001" }
local friend = server:phone { number = "15550100002" }
local peers  = {}
for i = 1, 10 do peers[i] = server:phone { number = "155501001" .. (10 + i) } end
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected")
for _, peer in ipairs(peers) do device:await_message { id = peer:send(phone, "before") } end
local spoilt = server:fault {
  fault = "corrupt_enc", args = { part = "mac" },
  where = { device = device, direction = "to_client", stanza = { tag = "message" } },
}
local before = #device:history("log")
for minute = 1, 10 do
  for _, peer in ipairs(peers) do
    for _ = 1, 5 do peer:send(phone, "unreadable") end
  end
  device:await_sent(device:send(friend, "minute " .. minute), { within = "10s" })
  pause "1m"
end
expect(#device:history("log") - before):at_most(2 * 10 * 11)
spoilt:remove()
device:await_message { id = peers[1]:send(phone, "readable again"), within = "1m" }
expect(device.state):equals("connected")
