-- FB-050: thousands of messages wait, the client decrypts them on the thread of the socket, pings are late, the server
-- closes, and all begins again.
-- Left to later: memory of the process (a soak).
scenario {
  name = "a flood of messages that waited is taken without losing the connection",
  tags = { "messages", "offline", "load", "FB-050" },
  modes = { "sim" },
  modes_reason = "10,000 messages",
  needs = { "send" },
  symptom = { "Node handling took", "event loop blocked", "428 Precondition Required", "offline messages then disconnect" },
}
local phone  = server:phone { number = "15550100001" }
local peers  = {}
for i = 1, 10 do peers[i] = server:phone { number = "155501001" .. (10 + i) } end
local device = engine:device "shop-1"
local kMany  = 10000
device:start()
phone:scan(device:await_qr())
device:await("connected")
device:stop()
local last = {}
for i = 1, kMany do last[i % 10 + 1] = peers[i % 10 + 1]:send(phone, tostring(i)) end
server:fault { fault = "disk", args = { kind = "slow", ms = 20 }, where = { device = device } }
local connects = device.connects
device:start()
device:await("connected")
for i = 1, 10 do device:await_message { id = last[i], within = "30m" } end
expect(device.connects):equals(connects + 1)
local highest, count = {}, 0
for _, message in ipairs(device.inbox) do
  count = count + 1
  local number = tonumber(message.text)
  expect(number > (highest[message.chat] or 0)):is_true()
  highest[message.chat] = number
end
expect(count):equals(kMany)
