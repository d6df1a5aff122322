-- The phone removes the companion: the credentials are dead, the engine forgets them and stops.
scenario {
  name = "a device that was unlinked is logged out",
  tags = { "connection", "unlink" },
  loopback_scale = 1/20,
  symptom = { "Stream Errored (conflict)", "device_removed", "401" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
phone:unlink(device)
device:await("logged_out", { within = "1m" })
expect(#phone.companions):equals(0)
pause(mode == "sim" and "1h" or "20s")                    -- and so it stays
expect(device.state):equals("logged_out")
expect(device.credentials):is_nil()
expect(device.connects):equals(2)

-- Linking again works, with a new identity.
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
