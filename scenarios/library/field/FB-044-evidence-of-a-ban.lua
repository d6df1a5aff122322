-- FB-044: after a ban somebody has to tell it from a logout, and to appeal; the credentials are gone.
scenario {
  name = "what the server has banned is kept as evidence",
  tags = { "failure", "ban", "quarantine", "FB-044" },
  needs = { "quarantine" },
  loopback_scale = 1/50,
  symptom = { "failure reason=403", "failure reason=406" },
}
local phone = server:phone { number = "15550100001" }
for i, row in ipairs { { reason = 403, state = "account_locked" }, { reason = 406, state = "banned" } } do
  local device = engine:device("shop-" .. i)
  device:start()
  phone:scan(device:await_qr { within = "3m" })
  device:await("connected", { within = "3m" })
  server:fault { id = row.state, fault = "failure", args = { reason = row.reason }, where = { device = device } }
  device:stop()
  device:start()
  device:await(row.state, { within = "3m" })
  expect(device.credentials):is_nil()
  expect(device.stored.quarantine):at_least(1)
end
