-- FB-014: connect says "already connected", qr says "not connected", logout too: several flags that
-- disagree, and no way out.
-- Left to later: the same over the gateway's HTTP API.
scenario {
  name = "delete and start lead to a code from every state",
  tags = { "commands", "FB-014" },
  loopback_scale = 1/50,
  symptom = { "already connected", "not connected" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { auto_renew_qr = 0 })

local function fresh()
  device:delete()
  device:start()
  return device:await_qr { within = "4m" }
end
local twice = engine:device("shop-2", { auto_renew_qr = 0 })
twice:delete()
parallel(function() twice:start() end, function() twice:start() end)
twice:await_qr { within = "4m" }
expect(twice.connects):equals(1)                       -- two starts at once are one

local qr = fresh()                                     -- never started
qr = fresh()                                           -- a code on show
device:start() device:start()                          -- already started: no error, no second stream
expect(device.streams):at_most(1)
qr = device.qr or device:await_qr { within = "4m" }
phone:scan(qr)
device:await("connected", { within = "4m" })
device:start()
expect(device.state):equals("connected")
device:stop()
expect(device.state):equals("disconnected")
device:stop()                                          -- twice is once
device:start()
device:await("connected", { within = "4m" })
qr = fresh()                                           -- connected
phone:scan(qr)
device:await("connected", { within = "4m" })
phone:unlink(device)
device:await("logged_out", { within = "4m" })
device:stop()                                          -- legal, and changes nothing that users would miss
device:logout()
qr = fresh()                                           -- logged out
phone:scan(qr)
device:await("connected", { within = "4m" })
device:logout()
device:await("logged_out", { within = "4m" })
fresh()
