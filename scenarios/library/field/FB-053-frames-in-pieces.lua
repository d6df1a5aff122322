-- FB-053: a frame over more than two reads is put together wrongly; hostile depth and size end the process.
scenario {
  name = "frames may come in any pieces, and what is too big or too deep ends one stream",
  tags = { "frames", "limits", "FB-053" },
  loopback_scale = 1/100,
  symptom = { "messages lost when split", "Maximum call stack size exceeded" },
}
local phone = server:phone { number = "15550100001" }
local sizes = mode == "sim" and { 1, 2, 3, 4, 5, 6, 7 } or { 1, 7 }
for _, size in ipairs(sizes) do
  local device = engine:device("split-" .. size)
  local split = server:fault { id = "split " .. size, fault = "split", args = { size = size }, where = { device = device } }
  device:start()
  phone:scan(device:await_qr { within = "4m" })
  device:await("connected", { within = "4m" })
  device:stop()
end
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
local earned = device.credentials
local hostile = { { fault = "deep", args = { levels = 10000 }, when = { manual = true } }, { fault = "oversize" } }
for i, record in ipairs(hostile) do
  record.id, record.where = "hostile " .. i, { device = device, direction = "to_client" }
  record.budget = 1
  local fault = server:fault(record)
  if record.when then fault:fire() end
  device:await("connecting", { within = "8m" })
  device:await("connected", { within = "8m" })
  expect(device.credentials):equals(earned)
  fault:remove()
  pause("61s")
end
