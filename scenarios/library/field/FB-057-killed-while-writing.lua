-- FB-057: a plain rewrite of a credentials file is cut by a crash: "Unexpected end of JSON input".
-- tests/loopback/kill_test.cpp kills a real process two hundred times; here are the named moments.
scenario {
  name = "a process killed at any commit leaves the old record or the new one",
  tags = { "disk", "kill", "FB-057" },
  loopback_scale = 1/20,
  symptom = { "Unexpected end of JSON input", "restored corrupted creds.json", "file full of zeros" },
}
local points = { "keys", "paired", "pre_keys", "uploaded", "login" }
for i, point in ipairs(points) do
  local phone  = server:phone { number = "1555010010" .. i }
  local device = engine.new("process-" .. i):device("shop-" .. i)
  server:fault { id = point, fault = "kill", args = { point = point }, where = { device = device } , when = { on_event = "connected" }, optional = true }
  device:start()
  for attempt = 1, 4 do
    local ok, qr = pcall(function() return device:await_qr { within = "20s" } end)
    if ok then pcall(function() phone:scan(qr, { within = "20s" }) end) end
    if device.state == "" then device:start() end
    if pcall(function() device:await("connected", { within = "20s" }) end) then break end
  end
  expect(device.state):equals("connected")
end
