-- FB-043: failure 405: the web version is too old; reconnecting cannot help.
-- Left to later: a new version without a restart.
scenario {
  name = "an outdated client says so and does not try again",
  tags = { "failure", "405", "FB-043" },
  loopback_scale = 1/20,
  symptom = { "Connection Failure 405", "failure reason=405", "location=cln" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
local old = server:fault { fault = "failure", args = { reason = 405 }, where = { device = device } }
device:stop()
device:start()
local state = device:await("client_outdated", { within = "1m" })
expect(state.code):equals(405)
local connects = device.connects
pause(mode == "sim" and "1h" or "20s")
expect(device.connects):at_most(connects + 6)          -- at most one in ten minutes
expect(device.credentials):equals(earned)
old:remove()
device:start()
device:await("connected", { within = "1m" })
