-- FB-057: a plain rewrite of a credentials file is cut by a crash: "Unexpected end of JSON input".
-- Here a process dies before and after each commit of a pairing and a login is durable, and the next one goes on with
-- what is. tests/loopback/kill_test.cpp kills a real process two hundred times; here are the named moments.
scenario {
  name = "a process killed at any commit leaves the old record or the new one",
  tags = { "disk", "kill", "FB-057" },
  loopback_scale = 1/20,
  needs = { "hold" },
  symptom = { "Unexpected end of JSON input", "restored corrupted creds.json", "file full of zeros" },
}
local count = 0
for _, point in ipairs { "paired", "login", "pre_keys", "uploaded" } do
  for _, phase in ipairs { "before", "after" } do
    count = count + 1
    local phone  = server:phone { number = tostring(15550100100 + count) }
    local device = engine.new("process-" .. count):device("shop-" .. count)
    local function link()
      phone:scan(device:await_qr { within = "20s" }, { within = "20s" })
    end
    device:start()
    device:hold(point, phase)
    if point == "paired" then
      parallel(
        function() pcall(link) end,                    -- the phone waits for an answer in vain
        function() device:await_held { within = "1m" } device:kill() end)
    else
      link()
      device:await_held { within = "1m" }
      device:kill()
    end
    device:start()
    if point == "paired" then
      -- The server was never answered: it knows of no companion, whatever is stored here.
      if phase == "after" then
        device:await("logged_out", { within = "1m" })
        device:start()
      end
      link()
    end
    device:await("connected", { within = "1m" })
  end
end
