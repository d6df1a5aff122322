-- FB-066: LOGOUT minutes after linking; the account is deleted at once, a new code is shown, and so on.
scenario {
  name = "an unlinked device keeps its evidence and waits to be asked",
  tags = { "unlink", "quarantine", "FB-066" },
  needs = { "quarantine" },
  loopback_scale = 1/50,
  symptom = { "LOGOUT shortly after linking", "session deleted, QR again" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
for round = 1, 3 do
  device:start()
  phone:scan(device:await_qr { within = "3m" })
  device:await("connected", { within = "3m" })
  phone:unlink(device)
  device:await("logged_out", { within = "3m" })
  pause(mode == "sim" and "1m" or "15s")
  expect(device.state):equals("logged_out")
  expect(device.qr):is_nil()                           -- nobody asked for one
  expect(device.credentials):is_nil()
  expect(device.stored.quarantine):at_least(1)
end
local times = 0
for _, word in ipairs(device.states) do if word == "logged_out" then times = times + 1 end end
expect(times):equals(3)
