-- FB-003: after the 515 nobody opens the second socket, or the login is never answered, and the phone
-- stays on "Logging in…" until the gateway is restarted.
-- Left to later: pairing_failed after three logins without an answer.
scenario {
  name = "a login that is never answered is tried again",
  tags = { "pairing", "515", "login", "FB-003" },
  loopback_scale = 1/50,
  symptom = { "Logging in…", "login timeout" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
server:fault {
  fault = "withhold", args = { stanza = "success" }, where = { device = device }, when = { nth = 1 },
  budget = 1,
}

device:start()
phone:scan(device:await_qr { within = "2m" })
device:await("connecting", { reason = "finishing", within = "2m" })
local earned = device.credentials
device:await("connected", { within = "2m" })        -- no call in between
expect(#server:history("login", { device = device })):equals(2)
expect(device.connects):equals(3)
expect(device.credentials):equals(earned)
expect.never(device, "disconnected")
