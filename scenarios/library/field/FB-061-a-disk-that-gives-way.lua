-- FB-061: while messages come in bursts the database is locked, read-only or full. An error of the store inside a
-- decryption is swallowed, the message acknowledged and gone; or reads and sends wait behind the writes for seconds.
-- Here what could not be stored is not acknowledged, so it comes again; and a burst holds up nobody.
-- Left to later: sends behind an import of history; who asks what is stored (`inspect`) waits while the file is locked.
scenario {
  name = "messages that come while the disk fails are neither lost nor acknowledged, and a burst holds up no send",
  tags = { "messages", "disk", "FB-061" },
  loopback_scale = 1/20,
  needs = { "send", "host_faults" },
  symptom = { "database is locked (5) (SQLITE_BUSY)", "database is locked", "attempt to write a readonly database", "message silently dropped" },
}
local kMany  = mode == "sim" and 250 or 100
local phone  = server:phone { number = "15550100001" }
local other  = server:phone { number = "15550100002" }
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr { within = "1m" }, { within = "1m" })
device:await("connected", { within = "1m" })
device:await_message { id = other:send(phone, "before"), within = "20s" }
device:await_sent(device:send(other, "hello"), { within = "20s" })

local said = 1
local function burst()
  local ids = {}
  for i = 1, kMany do
    said = said + 1
    ids[i] = other:send(phone, "text " .. said)
  end
  return ids
end
local function told() return #device.inbox end
local function answered(id)
  return #server:history("stanza_in", { device = device, data = { tag = "receipt", id = id } })
end

for _, args in ipairs { { kind = "busy", ms = 60000 }, { kind = "readonly" }, { kind = "enospc" } } do
  pause "2s"                                           -- nothing is being written
  local disk = server:fault { fault = "disk", args = args, where = { device = device }, when = { manual = true } }
  disk:fire()
  pause "1s"
  local before = told()
  local ids = burst()
  local some = { ids[1], ids[kMany // 2], ids[kMany] }
  for _, later in ipairs { "4s", "6s" } do            -- nothing can be stored, so nothing is told or answered
    pause(later)
    expect(told()):equals(before)
    for _, id in ipairs(some) do expect(answered(id)):equals(0) end
    if args.kind ~= "busy" then expect(device:inspect().credentials):is_not_nil() end
  end
  disk:remove()
  if device.state == "store_error" then device:start() end
  device:await_message { id = ids[kMany], within = "3m" }
  expect(told()):equals(before + kMany)
  for _, id in ipairs(some) do
    wait_until(function() return answered(id) >= 1 end, { within = "1m" })
  end
end

-- A burst on a slow disk, and somebody who writes meanwhile.
local slow = server:fault { fault = "disk", args = { kind = "slow", ms = mode == "sim" and 20 or 1 }, where = { device = device }, when = { manual = true } }
slow:fire()
parallel(
  function() burst() end,
  function()
    for i = 1, 10 do
      device:await_sent(device:send(other, "meanwhile " .. i), { within = mode == "sim" and "2s" or "40s" })
      expect(device:inspect().credentials):is_not_nil()
    end
  end)
slow:remove()
device:await_message { text = "text " .. said, within = "3m" }
expect(told()):equals(said)
expect(#device.undecryptable):equals(0)
