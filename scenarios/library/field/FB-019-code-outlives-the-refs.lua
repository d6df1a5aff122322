-- FB-019: the QR codes run out while the user types the pairing code, and the client closes the socket
-- that the code belongs to.
scenario {
  name = "a code outlives the QR codes of its socket",
  tags = { "pairing", "pairing-code", "qr", "FB-019" },
  server = { refs = { count = 6, first = "5s", rest = "5s" } },
  loopback_scale = 1/40,
  symptom = { "QR refs attempts ended", "408" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
expect.never(device, "disconnected")

device:start { pairing_number = "15550100001" }
local code = device:await_pairing_code { within = "5s" }
for ref = 2, 6 do device:await_qr { within = "10s" } end
pause("40s")                                          -- nothing is left to scan, and a slow typist
expect(device.qr):is_nil()
expect(device.state):equals("waiting_for_scan")
expect(device.pairing_code):equals(code)
expect(device.connects):equals(1)
phone:enter_code(code)
device:await("connected", { within = "10s" })
expect(device.connects):equals(2)
