-- FB-002, the variant: a 515 while nobody has scanned. No account was lost, so the engine starts afresh
-- and shows a new code within seconds.
-- Left to later: the quarantine copy of the keys that were dropped.
scenario {
  name = "a restart without a pairing gives a fresh code",
  tags = { "pairing", "515", "FB-002" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local restart = server:fault {
  fault = "stream_error", args = { code = 515 }, where = { device = device }, when = { manual = true },
}

device:start()
local first = device:await_qr { within = "2s" }
local generation = device.generation
restart:fire()
local second = device:await_qr { within = "3s" }
expect(second):differs(first)
expect(device.credentials):is_nil()                  -- there was no account
if generation then                                   -- some clients count nothing
  expect(device.generation):differs(generation)      -- fresh keys
end
phone:scan(second)
device:await("connected", { within = "10s" })
expect(device.connects):equals(3)
expect.never(device, "disconnected")
