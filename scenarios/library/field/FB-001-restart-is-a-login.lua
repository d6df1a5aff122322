-- FB-001: integrations take the 515 after pairing for a failure, or register again instead of logging in.
-- Left to later: "one paired, then one connected event" at the gateway (events come with it).
scenario {
  name = "a restart right after pairing is a login",
  tags = { "pairing", "515", "FB-001" },
  server = { refs = { count = 6, first = "60s", rest = "20s" } },
  symptom = { "Stream Errored (restart required)", "stream:error code=515", "Couldn't link device" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"

device:start()
local qr = device:await_qr { within = "2s" }        -- PNG bytes, as a user would see them
phone:scan(qr)                                      -- ZXing reads the pixels
device:await("connected", { within = "10s" })
expect(device.connects):equals(2)
expect(device.last_close.code):equals(515)
expect(#server:history("registration", { device = device })):equals(1)
expect(#server:history("login", { device = device })):equals(1)
expect(device.streams):equals(1)
expect.never(device, "disconnected")                -- from start() to the end
