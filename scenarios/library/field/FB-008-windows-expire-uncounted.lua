-- FB-008: the end of an unscanned window is counted as a failed connection, so the back-off grows with
-- each and a late scan waits for a minute.
-- Left to later: the cap of renewals per hour.
scenario {
  name = "windows that expire are renewed at once and not counted",
  tags = { "pairing", "qr", "FB-008" },
  server = { refs = { count = 6, first = "6s", rest = "2s" } },
  loopback_scale = 1/20,
  symptom = { "QR refs attempts ended", "408" },
}
local windows = mode == "sim" and 20 or 3
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { auto_renew_qr = windows })

device:start()
for window = 1, windows do
  for ref = 1, 6 do device:await_qr { within = "1m" } end
end
local qr = device:await_qr { within = "1m" }           -- the first of one window more
expect(device.connects):equals(windows + 1)
expect(device.attempts):equals(0)
expect(device.last_close.code):equals(408)
phone:scan(qr)
device:await("connected", { within = "1m" })

-- There was a code at every time, but for a second between windows.
local codes = device:history("qr")
for i = 2, #codes do
  local life = codes[i - 1].expires_ms / 1000
  expect(codes[i].at - codes[i - 1].at):at_most(life + 1)
end
-- Each window was followed by a connection at once: within a second of the server's closing the one before.
local closed, connected = server:history("closed", { device = device }), server:history("connected", { device = device })
for window = 1, windows do
  expect(connected[window + 1].at - closed[window].at):at_most(1)
end
expect.never(device, "qr_expired")
expect.never(device, "disconnected")
