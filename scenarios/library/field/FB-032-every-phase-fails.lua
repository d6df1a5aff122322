-- FB-032: errors before a connection is open bypass the retry loop, or are declared final: "failed" for
-- six days after a DNS blip.
scenario {
  name = "a network that fails in any phase is never the end",
  tags = { "reconnect", "dns", "FB-032" },
  loopback_scale = 1/200,
  symptom = { "ENOTFOUND", "getaddrinfo", "channel exited", "428 in the opening phase" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "5m" })
device:await("connected", { within = "5m" })
local earned = device.credentials
local phases = {
  { fault = "dns", args = { kind = "fail" } },
  { fault = "tls", args = { kind = "cut" }, where = {} },
  { fault = "upgrade", args = { status = 500 } },
  { fault = "stall", args = { stage = "hello" } },
  { fault = "close", args = { how = "rst" }, when = { on_event = "connected" }, budget = 1000 },
  { fault = "close", args = { how = "rst" }, when = { on_event = "handshake" }, budget = 1000 },
  { fault = "close", args = { how = "rst" }, when = { on_event = "login" }, budget = 1000 },
}
for round, record in ipairs(phases) do
  record.id, record.where = "phase " .. round, record.where or { device = device }
  local fault = server:fault(record)
  local cut = server:fault { id = "cut " .. round, fault = "close", where = { device = device }, when = { manual = true } }
  cut:fire()
  device:await("connecting", { within = "5m" })
  pause(mode == "sim" and "120s" or "40s")
  fault:remove() cut:remove()
  device:await("connected", { within = mode == "sim" and "70s" or "5m" })
  expect(device.credentials):equals(earned)
  pause("61s")
end
for _, word in ipairs { "disconnected", "logged_out", "store_error", "config_error" } do expect.never(device, word) end
