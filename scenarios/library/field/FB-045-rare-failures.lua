-- FB-045: 411, 413, 414, 415 and 418 fall through to "scan again", or crash.
scenario {
  name = "rare failures keep the account and say what they are",
  tags = { "failure", "FB-045" },
  loopback_scale = 1/100,
  symptom = { "411 multi-device mismatch", "failure reason=413", "failure reason=414", "failure reason=415", "failure reason=418" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local earned = device.credentials
local rows = { { 411, "needs_relink" }, { 413, "config_error" }, { 414, "config_error" }, { 415, "config_error" }, { 418, "config_error" } }
for _, row in ipairs(rows) do
  local reason, expected = row[1], row[2]
  local fault = server:fault { id = "reason " .. reason, fault = "failure", args = { reason = reason }, where = { device = device }, when = { nth = 1 } }
  device:stop()
  device:start()
  local state = device:await(expected, { within = "4m" })
  expect(state.code):equals(reason)
  expect(device.credentials):equals(earned)
  fault:remove()
  device:start()
  device:await("connected", { within = "4m" })
end
expect.never(device, "logged_out")
