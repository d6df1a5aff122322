-- FB-058: a reader looks while the writer has truncated, and restores an old backup over newer keys.
scenario {
  name = "what is stored only grows newer, however often the process ends",
  tags = { "disk", "kill", "FB-058" },
  needs = { "generation" },
  loopback_scale = 1/50,
  symptom = { "size=0 on reconnect", "restored from backup" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "3m" })
device:await("connected", { within = "3m" })
local earned, generation = device.credentials, device.generation
for round = 1, mode == "sim" and 50 or 8 do
  device:kill()
  device:start()
  device:await("connected", { within = "3m" })
  expect(device.credentials):equals(earned)
  expect(device.generation):at_least(generation)
  generation = device.generation
end
