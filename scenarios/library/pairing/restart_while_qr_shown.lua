-- A 515 while a code is on show: the old one stays on show until there is a fresh one.
scenario {
  name = "a restart while a code is shown leaves no gap",
  tags = { "pairing", "515", "qr" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
local restart = server:fault {
  fault = "stream_error", args = { code = 515 }, where = { device = device }, when = { manual = true },
}
device:start()
local old = device:await_qr { within = "2s" }
restart:fire()
local closed = server:await("closed", { device = device, within = "2s" })
expect(device.qr):equals(old)                          -- still on show
local fresh = device:await_qr { within = "3s" }
expect(fresh):differs(old)
expect.error(function() phone:scan(old) end):code("stale_ref")
phone:scan(fresh)
device:await("connected", { within = "10s" })

local stale = 0
for _, code in ipairs(device:history("qr")) do
  if code.stale then stale = stale + 1 end
end
expect(stale):at_least(1)                              -- while it was on show it was marked
expect(#device:history("qr_gone")):equals(1)           -- once: when the phone had scanned
