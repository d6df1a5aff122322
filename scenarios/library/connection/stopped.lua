-- stop() closes and keeps the credentials; start() logs in; logout() unlinks.
scenario {
  name = "stop keeps the credentials, logout gives them up",
  tags = { "connection", "logout" },
  loopback_scale = 1/20,
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
device:stop()
device:await("disconnected", { within = "1m" })
expect(device.credentials):equals(earned)
pause "10s"
expect(device.connects):equals(2)
device:start()
device:await("connected", { within = "1m" })
device:logout()
device:await("logged_out", { within = "1m" })
pause "10s"                                             -- and so it stays
expect(device.state):equals("logged_out")
expect(device.connects):equals(3)
expect(device.credentials):is_nil()
expect(#phone.companions):equals(0)
