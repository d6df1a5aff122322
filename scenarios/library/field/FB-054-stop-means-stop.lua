-- FB-054: stop during the back-off is ignored and the session comes back.
-- Left to later: SIGTERM under load.
scenario {
  name = "a device that was stopped or deleted never connects again by itself",
  tags = { "commands", "reconnect", "FB-054" },
  loopback_scale = 1/100,
  symptom = { "session comes back after stop", "reconnects after delete" },
}
local phone  = server:phone { number = "15550100001" }
for round = 1, mode == "sim" and 100 or 4 do
  local device = engine:device("shop-" .. round)
  local cut = server:fault {
    id = "cut " .. round, fault = "close", where = { device = device }, when = { on_event = "registration" }, budget = 100, optional = true,
  }
  device:start()
  pause(math.random(0, 6000) .. "ms")                  -- while it connects, backs off, or has given up
  if round % 2 == 0 then device:stop() else device:delete() end
  pause("1s")
  local connects = device.connects
  pause(mode == "sim" and "2m" or "30s")
  expect(device.connects):equals(connects)
  expect(device.streams):equals(0)
  cut:remove()
end
