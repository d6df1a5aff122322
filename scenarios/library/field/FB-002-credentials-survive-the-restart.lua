-- FB-002: "no credentials" was computed when the session started, so the 515 after pair-success wiped
-- what had just been earned.
-- Left to later: the quarantine copy of a wipe.
scenario {
  name = "the credentials of a pairing survive its restart",
  tags = { "pairing", "515", "FB-002" },
  symptom = { "Session error during initial pairing", "clearing corrupted session files" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"

expect(device.credentials):is_nil()
device:start()
phone:scan(device:await_qr { within = "2s" })
device:await("connecting", { reason = "finishing" })
local earned = device.credentials
expect(earned):is_not_nil()
device:await("connected", { within = "10s" })
expect(device.credentials):equals(earned)
expect(device.last_close.code):equals(515)

-- A process that starts anew logs in with them.
device:kill()
device:start()
device:await("connected", { within = "10s" })
expect(device.credentials):equals(earned)
expect(#server:history("registration", { device = device })):equals(1)
