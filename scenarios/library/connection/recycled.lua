-- stream:error 503: the server recycles the stream. Credentials stay, the engine comes back by itself.
scenario {
  name = "a recycled stream is opened again",
  tags = { "connection", "reconnect", "503" },
  loopback_scale = 1/20,
  symptom = { "stream:error code=503", "Service Unavailable" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
local recycle = server:fault {
  fault = "stream_error", args = { code = 503 }, where = { device = device }, when = { manual = true },
}
recycle:fire()
local state = device:await("connecting", { within = "1m" })
expect(state.code):equals(503)
device:await("connected", { within = "1m" })
expect(device.credentials):equals(earned)
expect(device.connects):equals(3)
