-- FB-052: a write fails after the counter has advanced, and the next frame uses the nonce again. The mock
-- tells every counter that is repeated (no-key-reuse).
scenario {
  name = "a reset in the middle of a write costs the stream, never a nonce",
  tags = { "noise", "FB-052" },
  loopback_scale = 1/200,
  symptom = { "garbage after a failed write" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "4m" })
device:await("connected", { within = "4m" })
for round = 1, mode == "sim" and 30 or 3 do
  local cut = server:fault {
    id = "cut " .. round, fault = "close", args = { how = "rst" }, where = { device = device },
    when = { on_event = "stanza_in", nth = math.random(1, 6) }, budget = 1,
  }
  device:await("connecting", { within = "10m" })
  device:await("connected", { within = "10m" })
  cut:remove()
  pause("61s")
end
expect(#server.violations):equals(0)
