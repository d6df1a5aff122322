-- FB-059: start-up fails though a valid backup exists, or a corrupt backup is promoted: nobody had looked
-- at the backup. Here there is no second copy (docs/decisions/0004-one-copy.md), so of the cases "primary",
-- "backup" and "both" one is left: what is stored is damaged. Somebody who restores a backup does so by hand.
scenario {
  name = "damaged credentials are an error that stays until somebody deletes the device",
  tags = { "disk", "damage", "FB-059" },
  needs = { "testline_db" },
  loopback_scale = 1/20,
  symptom = { "startup fails though a valid backup exists", "corrupt backup is promoted", "QR code after a restart though it was paired" },
}
local damage = {
  { record = "credentials", how = "flip" },
  { record = "credentials", how = "truncate" },
  { record = "credentials", how = "missing" },
  { record = "pre_key",     how = "missing" },         -- the credentials are whole, but not all is there
}
local phones, devices, jids = {}, {}, {}
for i = 1, #damage + 1 do                              -- the last one is left alone
  phones[i]  = server:phone { number = "1555010010" .. i }
  devices[i] = engine:device("shop-" .. i)
end
local function pair(i)
  devices[i]:start()
  phones[i]:scan(devices[i]:await_qr { within = "1m" }, { within = "1m" })
  devices[i]:await("connected", { within = "1m" })
  jids[i] = devices[i].jid
end
local whole = #devices
for i = 1, whole do pair(i) end
for i = 1, whole do                                    -- then they are durable
  wait_until(function() return phones[i].companions[1].prekeys > 0 end)
end
local earned = devices[whole].credentials

for i = 1, whole do devices[i]:kill() end
local left, connects, codes = {}, {}, {}
for i, what in ipairs(damage) do
  local before = devices[i].stored_digest
  devices[i]:damage_stored(what)
  left[i] = devices[i].stored_digest
  expect(left[i]):differs(before)
  connects[i] = devices[i].connects
  codes[i]    = #devices[i]:history("qr")
end
local untouched = devices[whole].stored_digest

for attempt = 1, 2 do                                  -- another start, or another process, changes nothing
  for i = 1, #damage do
    expect.error(function() devices[i]:start() end):code("store_error")
    devices[i]:await("store_error", { reason = "damaged" })
    expect.error(function() devices[i]:start { pairing_number = phones[i].number } end):code("store_error")
  end
  if attempt == 1 then
    expect(devices[whole].stored_digest):equals(untouched)
    devices[whole]:start()
    devices[whole]:await("connected", { within = "1m" })
    expect(devices[whole].credentials):equals(earned)
  end
  pause(mode == "sim" and "1h" or "10s")
  for i = 1, #damage do
    expect(devices[i].state):equals("store_error")
    expect(devices[i].reason):equals("damaged")
    expect(devices[i].qr):is_nil()
    expect(devices[i].pairing_code):is_nil()
    expect(#devices[i]:history("qr")):equals(codes[i])
    expect(devices[i].connects):equals(connects[i])    -- the server has not heard of it
    expect(devices[i].stored_digest):equals(left[i])   -- byte by byte, for whoever wants to look
  end
  for i = 1, whole do devices[i]:kill() end
end

for i = 1, #damage do
  devices[i]:delete()
  expect(devices[i].stored_digest):is_nil()
  phones[i]:unlink(jids[i])                            -- nobody else could say it: its keys are gone
  pair(i)
end
devices[whole]:start()
devices[whole]:await("connected", { within = "1m" })
expect(devices[whole].credentials):equals(earned)
