-- FB-039: a rolling deploy starts the new container before the old one stops; both run the same account,
-- and throw each other out.
-- Left to later: parallel POSTs of the gateway, and SIGTERM.
scenario {
  name = "of two processes one runs the device, and the other takes over when it is gone",
  tags = { "owner", "conflict", "FB-039" },
  loopback_scale = 1/20,
  symptom = { "440 loop during deploy", "Stream Errored (conflict)", "connectionReplaced" },
}
local phone = server:phone { number = "15550100001" }
local old   = engine:device "shop-1"
local new   = engine.new("deploy-2"):device "shop-1"
old:start()
phone:scan(old:await_qr { within = "1m" })
old:await("connected", { within = "1m" })
local earned = old.credentials

new:start()
local state = new:await("disconnected", { reason = "owned_elsewhere", within = "1m" })
pause("20s")
expect(old.state):equals("connected")
expect(server:history("login")[2]):is_nil()            -- the second one never logged in

old:kill()                                             -- nobody gives the lease back
new:await("connected", { within = "45s" })             -- it lapses
expect(new.credentials):equals(earned)
old:start()
old:await("disconnected", { reason = "owned_elsewhere", within = "1m" })
expect(new.state):equals("connected")
expect.never(new, "replaced")
