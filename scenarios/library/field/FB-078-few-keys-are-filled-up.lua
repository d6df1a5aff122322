-- FB-078: the server says that it has few one-time keys left; the client counts again and thinks that it will do, or forgets
-- it at a restart, and strangers cannot write. Here every such word is one upload to the full number, also after a kill.
scenario {
  name = "when the server has few one-time keys it gets the full number, once for each warning",
  tags = { "signal", "pre-keys", "kill", "FB-078" },
  loopback_scale = 1/20,
  needs = { "hold" },
  symptom = { "0 pre-keys found on server", "pre keys found on server", "Waiting for this message" },
}
local kFull = mode == "sim" and 812 or 100
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { initial_prekeys = kFull })
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "20s" })

local function uploads()
  local count = 0
  for _, stanza in ipairs(server:history("stanza_in", { device = device, data = { tag = "iq", type = "set", xmlns = "encrypt" } })) do
    if stanza.data.child == "registration" then count = count + 1 end
  end
  return count
end
local function full() return phone.companions[1].prekeys >= kFull - 5 end   -- its phone has taken one
local function few(left)
  server:fault { fault = "prekeys", args = { left = left }, where = { device = device }, when = { manual = true } }:fire()
end
wait_until(full, { within = "20s" })
expect(uploads()):equals(1)

-- 40, and more than half: both are filled up, by one upload each, however often it is said meanwhile.
few(40)
few(40)
wait_until(full, { within = "20s" })
expect(uploads()):equals(2)
few(kFull - 10)
wait_until(full, { within = "20s" })
expect(uploads()):equals(3)

-- It is killed when it has just heard so; the next process knows. More than half are there, so the count says nothing.
device:hold("pre_keys", "before", 1)
few(kFull - 20)
device:await_held { within = "20s" }
device:kill()
expect(uploads()):equals(3)
device:start()
device:await("connected", { within = "20s" })
wait_until(full, { within = "20s" })
expect(uploads()):equals(4)

-- The server refuses three times, and gets the same keys until it takes them.
local refusals = server:fault {
  fault = "iq_error", args = { code = 503 }, budget = 3,
  where = { device = device, stanza = { tag = "iq", type = "set", xmlns = "encrypt" } },
}
few(5)
wait_until(full, { within = "60s" })
expect(refusals.fired):equals(3)
expect(uploads()):equals(8)
expect(phone.companions[1].prekeys):equals(kFull)

-- At a login with less than half of them it does not wait to be told.
device:stop()
for i = 1, kFull // 2 + 5 do server:phone { number = tostring(15550200000 + i) }:send(phone, "hello") end
expect(full()):equals(false)
device:start()
device:await("connected", { within = "20s" })
wait_until(full, { within = "20s" })
expect(#server.violations):equals(0)
