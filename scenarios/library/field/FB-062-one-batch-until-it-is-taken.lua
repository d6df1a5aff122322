-- FB-062: every reconnect makes new pre-keys although those of the last upload were never taken: thousands of keys, a file
-- for each, until there are no inodes left. Here what was generated and what the server has confirmed are two marks: an
-- upload without an answer is offered again, a new batch begins only behind a confirmed one, and the oldest keys end.
scenario {
  name = "keys that the server has not confirmed are offered again, and their number is bounded",
  tags = { "signal", "prekeys", "FB-062" },
  loopback_scale = 1/50,
  server = { initial_history = false },
  symptom = { "5241 pre-keys", "1200 files in a day", "inodes exhausted", "pre-keys uploaded on every reconnect" },
}
local kReconnects = mode == "sim" and 500 or 12
local kBatch, kMost = 20, 1700
local phone  = server:phone { number = "15550100001" }
local device = engine:device("shop-1", { initial_prekeys = kBatch })
device:start()
phone:scan(device:await_qr { within = "1m" })
device:await("connected", { within = "1m" })
wait_until(function() return phone.companions[1].prekeys == kBatch end, { within = "1m" })

local files = device:inspect().open_files
local taken = server:fault {
  fault = "prekeys", args = { left = 0 }, where = { device = device }, when = { on_event = "success" }, budget = kReconnects,
}
local refused = server:fault {
  fault = "iq_error", args = { code = 503 }, where = { device = device, stanza = { xmlns = "encrypt", type = "set" } }, when = { every = 2 },
}
local batches, refusals = 1, 0
for i = 1, kReconnects do
  if i % 10 == 0 then device:kill() else device:stop() end
  device:start()
  device:await("connected", { within = "1m" })
  wait_until(function() return refused.fired > refusals or phone.companions[1].prekeys > 0 end, { within = "1m" })
  if refused.fired > refusals then refusals = refused.fired else batches = batches + 1 end
  if i == 12 then                                      -- a new batch behind each that was taken, and no other
    expect(device.stored.pre_key):at_most(kBatch * (batches + 1))
  end
end
expect(taken.fired):equals(kReconnects)
expect(refusals):at_least(kReconnects / 2 - 1)
expect(device.stored.pre_key):at_most(kMost)
expect(device:inspect().open_files):at_most(files)
