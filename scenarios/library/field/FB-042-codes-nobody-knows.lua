-- FB-042: numeric stream codes without the child that a parser expects, or texts that disagree with the
-- code. The whole table is in docs/close-codes.md, and each of its cells has a test; here are the rare ones
-- and some that do not exist.
scenario {
  name = "codes that nobody knows keep the account and back off",
  tags = { "close-codes", "reconnect", "FB-042" },
  loopback_scale = 1/200,
  symptom = { "Stream Errored (unknown)", "stream:error code=409", "stream:error code=429" },
}
local phone  = server:phone { number = "15550100001" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "8m" })
device:await("connected", { within = "8m" })
local earned = device.credentials
local function end_with(args, id)
  local fault = server:fault { id = id, fault = "stream_error", args = args, where = { device = device }, when = { manual = true } }
  fault:fire()
  return function() fault:remove() end
end
for round = 1, mode == "sim" and 20 or 4 do
  local known = { [401] = true, [409] = true, [429] = true, [440] = true, [503] = true, [515] = true, [516] = true }
  local code
  repeat code = math.random(100, 999) until not known[code]
  local gone = end_with({ code = code }, "unknown " .. round)
  local state = device:await("connecting", { within = "8m" })
  expect(state.code):equals(code)
  device:await("connected", { within = "8m" })
  gone()
  pause("61s")
end
local gone = end_with({ code = 429 }, "rate")
device:await("throttled", { within = "8m" })
device:await("connected", { within = "10m" })          -- slow: a minute
gone()
end_with({ code = 409 }, "conflict")
device:await("replaced", { within = "8m" })
expect(device.credentials):equals(earned)
expect.never(device, "logged_out")
