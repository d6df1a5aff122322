-- FB-040: after "stream replaced" the tool never returns, although the other client has left again.
scenario {
  name = "what to do when replaced is a choice, and start is always allowed",
  tags = { "conflict", "FB-040" },
  loopback_scale = 1/50,
  symptom = { "stream replaced", "Stream Errored (conflict)" },
}
local phone   = server:phone { number = "15550100001" }
local patient = engine:device("shop-1", { on_replaced = "takeover_after(30s)" })
patient:start()
phone:scan(patient:await_qr { within = "3m" })
patient:await("connected", { within = "3m" })
local rogue = engine.new("elsewhere"):device("rogue", { clone_of = patient })
rogue:start()
patient:await("replaced", { within = "3m" })
rogue:stop()
patient:await("connected", { within = "95s" })         -- by itself

rogue:start()
patient:await("replaced", { within = "3m" })
rogue:stop()
patient:start()                                        -- asked: at once
patient:await("connected", { within = "3m" })
