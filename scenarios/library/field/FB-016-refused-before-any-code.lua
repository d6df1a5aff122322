-- FB-016: a 401 on connect leaves a record that is half there; the client then logs in with a dead
-- identity instead of registering, and no code is ever shown again.
scenario {
  name = "an account that the server does not know any more registers again",
  tags = { "login", "401", "FB-016" },
  loopback_scale = 1/20,
  symptom = { "{\"count\":0}", "Connection Failure 401" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
device:stop()
phone:unlink(device.jid)                               -- while nobody listens

device:start()
local state = device:await("logged_out", { within = "1m" })
expect(state.code):equals(401)
expect(device.credentials):is_nil()
device:kill()                                          -- another process finds what this one left
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
