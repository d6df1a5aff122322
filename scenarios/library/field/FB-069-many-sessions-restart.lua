-- FB-069: after a restart some sessions are placeholders without a client, or "STARTING" for ever, though they are
-- linked: their start failed silently. Here each session ends connected, in a final state, or retrying with a time for
-- its next attempt, within two minutes, restart after restart.
scenario {
  name = "of many sessions none is left starting, however often their process dies",
  tags = { "restart", "kill", "FB-069" },
  loopback_scale = 1/10,
  server = { initial_history = false },
  symptom = { "placeholders without client", "STARTING", "STOPPED after restart", "session not connected after restart" },
}
local kSessions = mode == "sim" and 100 or 12
local kRestarts = mode == "sim" and 10 or 3
local phones, devices, codes = {}, {}, {}
for i = 1, kSessions do
  phones[i]  = server:phone { number = string.format("1555010%04d", i) }
  devices[i] = engine:device("shop-" .. i, { initial_prekeys = 6 })
end
-- One is refused at the door, one was unlinked while it was away, and one was never linked: they end in another way.
local refused, unlinked, unpaired = 1, 2, 3
local door = server:fault { fault = "upgrade", args = { status = 503 }, where = { device = devices[refused] }, when = { manual = true }, budget = 1000 }
local function each(from, what)
  for i = from, kSessions do what(devices[i], i) end
end
each(1, function(device, i)
  device:start()
  local qr = device:await_qr { within = "1m" }
  if i ~= unpaired then phones[i]:scan(qr, { within = "1m" }) end
end)
each(1, function(device, i)
  if i ~= unpaired then device:await("connected", { within = "1m" }) end
  codes[i] = #device:history("qr")
end)

for round = 1, kRestarts do
  local last = round == kRestarts
  local jid = devices[unlinked].jid
  each(1, function(device) device:kill() end)
  if last then
    door:fire()
    phones[unlinked]:unlink(jid)
  end
  each(1, function(device) device:start() end)
  each(last and 4 or 1, function(device, i)
    if i ~= unpaired then
      device:await("connected", { within = "2m" })
      expect(#device:history("qr")):equals(codes[i])   -- nobody is asked to scan again
    end
  end)
  if not last then devices[unpaired]:await_qr { within = "2m" } end
end
devices[unlinked]:await("logged_out", { within = "2m" })
devices[unpaired]:await_qr { within = "2m" }
wait_until(function() return devices[refused].reason == "http_status" end, { within = "2m" })
expect(devices[refused].state):equals("connecting")
expect(devices[refused].attempts):at_least(1)
each(4, function(device) expect(device.streams):equals(1) end)
door:remove()
devices[refused]:await("connected", { within = "3m" })
