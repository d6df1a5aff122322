-- FB-004: the 515 comes 5 to 50 ms after pair-success, and the reconnect reads credentials that are half
-- written.
scenario {
  name = "the first login waits until the pairing is on disk, however slow that is",
  tags = { "pairing", "515", "disk", "FB-004" },
  server = { restart_delay = "0ms" },
  loopback_scale = 1/10,
  symptom = { "works only after waiting for creds to save", "401 after 515" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
local qr = device:await_qr { within = "1m" }
local slow = server:fault { fault = "disk", args = { kind = "slow", ms = 2000 }, where = { device = device }, when = { manual = true } }
slow:fire()
local began = server:history("scan", { device = device })
pcall(function() phone:scan(qr) end)                   -- the answer to pair-success waits for the disk, too
device:await("connecting", { reason = "finishing", within = "1m" })
expect(device.connects):equals(1)
device:await("connected", { within = "1m" })
expect(device.connects):at_least(2)
slow:remove()

local second = engine:device "shop-2"
second:start()
qr = second:await_qr { within = "1m" }
local broken = server:fault { fault = "disk", args = { kind = "eio" }, where = { device = second }, when = { manual = true } }
broken:fire()
pcall(function() phone:scan(qr) end)
local state = second:await("store_error", { within = "2m" })
expect(second.qr):is_nil()                             -- no code is shown as if that were success
expect.never(second, "connected")
