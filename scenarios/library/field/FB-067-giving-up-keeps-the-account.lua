-- FB-067: an instance that only failed to connect wipes the credentials that others use.
scenario {
  name = "a thousand failed attempts of every kind leave the account as it is",
  tags = { "reconnect", "credentials", "FB-067" },
  modes = { "sim" }, modes_reason = "days of back-off",
  symptom = { "reconnect threshold exceeded", "credentials deleted after failed reconnects" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
local earned = device.credentials
local failures = {
  { fault = "upgrade", args = { status = 503 } },
  { fault = "upgrade", args = { status = 401 } },
  { fault = "close", args = { how = "rst" }, when = { on_event = "handshake" }, budget = 100000 },
  { fault = "close", when = { on_event = "login" }, budget = 100000 },
  { fault = "withhold", args = { stanza = "success" } },
  { fault = "stream_error", args = { code = 503 }, when = { on_event = "login" }, budget = 100000 },
  { fault = "stream_error", args = { child = "x" }, when = { on_event = "login" }, budget = 100000 },
  { fault = "failure", args = { reason = 500 } },
  { fault = "failure", args = { reason = 503 } },
  { fault = "stall", args = { stage = "hello" } },
}
for round, record in ipairs(failures) do
  record.id, record.where = "f" .. round, { device = device }
  local fault = server:fault(record)
  local cut = server:fault { fault = "close", where = { device = device }, when = { manual = true }, id = "cut " .. round }
  cut:fire()
  for attempt = 1, 100 do server:await("fault", { data = { id = record.id }, within = "5m" }) end
  expect(device.credentials):equals(earned)
  fault:remove() cut:remove()
  device:await("connected", { within = "2m" })         -- it never gave up
  expect(device.credentials):equals(earned)
  pause("2m")
end
expect.never(device, "logged_out")
