-- The engine's process is killed and started again: it logs in with what was durable, without a code.
scenario {
  name = "a process that is killed logs in again",
  tags = { "connection", "kill" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "2s" })
device:await("connected", { within = "10s" })
local earned = device.credentials
for round = 1, 3 do
  device:kill()
  server:await("closed", { device = device, within = "5s" })
  device:start()
  device:await("connected", { within = "10s" })
end
expect(device.credentials):equals(earned)
expect(device.connects):equals(2 + 3)
expect(#server:history("registration", { device = device })):equals(1)
