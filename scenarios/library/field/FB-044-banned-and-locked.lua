-- FB-044: 402, 403 and 406 are taken for one logout, or tried again until the ban is permanent.
scenario {
  name = "a temporary ban waits for its end, a permanent one stops",
  tags = { "failure", "ban", "FB-044" },
  loopback_scale = 1/200,
  symptom = { "is my number banned", "Connection Failure 403", "failure reason=402", "failure reason=406" },
}
local phone  = server:phone { number = "15550100001" }
local banned = engine:device "shop-1"
banned:start()
phone:scan(banned:await_qr { within = "5m" })
banned:await("connected", { within = "5m" })
local earned = banned.credentials
local ban = server:fault {
  fault = "failure", args = { reason = 402, code = 101, expire = "1h" }, where = { device = banned }, when = { nth = 1 },
}
banned:stop()
banned:start()
banned:await("temporarily_banned", { within = "5m" })
local connects = banned.connects
pause(mode == "sim" and "59m" or "2m")
expect(banned.connects):equals(connects)
expect(banned.credentials):equals(earned)
if mode == "sim" then
  banned:await("connected", { within = "3m" })
  expect(banned.connects):equals(connects + 1)
end

local rows = { { reason = 403, state = "account_locked" }, { reason = 406, state = "banned" } }
for i, row in ipairs(rows) do
  local device = engine:device("shop-" .. i + 1)
  device:start()
  phone:scan(device:await_qr { within = "5m" })
  device:await("connected", { within = "5m" })
  server:fault { id = row.state, fault = "failure", args = { reason = row.reason }, where = { device = device } }
  device:stop()
  device:start()
  local state = device:await(row.state, { within = "5m" })
  expect(state.code):equals(row.reason)
  local before = device.connects
  pause(mode == "sim" and "1h" or "2m")
  expect(device.connects):equals(before)
  expect(device.credentials):is_nil()
end
