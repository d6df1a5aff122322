-- FB-077: ids of one-time keys come from a scan of what is stored, and a gap ends it: ids are given again, and 131 first
-- messages cannot be read. Here a counter that only grows is durable before the keys leave, whatever became of them.
scenario {
  name = "one-time keys have ids of their own, also after some were used out of order and a restart",
  tags = { "signal", "pre-keys", "kill", "FB-077" },
  loopback_scale = 1/20,
  needs = { "send" },
  symptom = { "Invalid PreKey ID", "mismatching MAC in signal message", "Bad MAC" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { initial_prekeys = 30 })
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })
local peers = {}
for i = 1, 8 do peers[i] = server:phone { number = "1555010020" .. i } end

local function receipts(type)
  return #server:history("stanza_in", { device = device, data = { tag = "receipt", type = type } })
end
wait_until(function() return receipts("hist_sync") > 0 end, { within = "20s" })   -- what its phone tells it first
local function lose_four()
  return server:fault {
    fault = "drop", where = { device = device, direction = "to_client", stanza = { tag = "message" } }, budget = 4,
  }
end

-- Of those who take a key, the first four are not heard: their keys stay unused, between used ones.
local lost = lose_four()
for i = 1, 4 do peers[i]:send(phone, "lost " .. i) end
wait_until(function() return lost.fired == 4 end, { within = "20s" })
for i = 5, 8 do device:await_message { id = peers[i]:send(phone, "read " .. i), within = "20s" } end

local again = lose_four()   -- the server keeps them, and sends them at the next login
device:kill()
device:start()
device:await("connected", { within = "20s" })
wait_until(function() return again.fired == 4 end, { within = "20s" })
server:fault { fault = "prekeys", args = { left = 2 }, where = { device = device }, when = { manual = true } }:fire()
wait_until(function() return phone.companions[1].prekeys >= 30 end, { within = "20s" })

-- The old bundles are still good; so are the new keys, each of which has an id that no other one had (`prekey-reused`).
for i = 4, 1, -1 do
  device:await_message { id = peers[i]:send(phone, "again " .. i), text = "again " .. i, within = "20s" }
end
for i = 1, 3 do
  local new = server:phone { number = "1555010030" .. i }
  device:await_message { id = new:send(phone, "new " .. i), within = "20s" }
end
expect(receipts("retry")):equals(0)
expect(#server.violations):equals(0)
