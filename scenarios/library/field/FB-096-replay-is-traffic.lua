-- FB-096: 7 of 18 leads lost: what the server had kept during an outage was taken for history, and dropped for being older
-- than the connection. FB-097: the replies that somebody typed on the phone meanwhile are missing, since everything by
-- the own account was taken for an echo.
-- Left to later: webhooks.
scenario {
  name = "what was said during an outage is told like everything else, by others and by the own phone",
  tags = { "messages", "offline", "FB-096", "FB-097" },
  loopback_scale = 1/50,
  needs = { "send" },
  symptom = { "messages lost after restart", "lost leads", "replies typed on the phone missing", "messages received while offline are not delivered" },
}
local phone  = server:phone { number = "15550100001" }
local leads  = {}
for i = 1, 18 do leads[i] = server:phone { number = "155501001" .. (10 + i) } end
local device = engine:device "shop-1"
device:start()
phone:scan(device:await_qr())
device:await("connected", { within = "1m" })
local mine = device:send(leads[1], "sent before the outage")
device:await_sent(mine)
device:stop()
for i, lead in ipairs(leads) do lead:send(phone, "lead " .. i) end
for i = 1, 5 do phone:send(leads[i], "reply " .. i) end
pause(mode == "sim" and "10m" or "1m")
device:start()
device:await("connected", { within = "1m" })
wait_until(function() return #device.inbox >= 23 end, { within = "2m" })
for i, lead in ipairs(leads) do lead:send(phone, "later " .. i) end
wait_until(function() return #device.inbox >= 41 end, { within = "2m" })
expect(#device.inbox):equals(41)
local seen, own = {}, 0
for _, message in ipairs(device.inbox) do
  expect(seen[message.id]):is_nil()
  seen[message.id] = true
  if message.from_me then own = own + 1 end
  local lead = string.match(message.text, "^lead (%d+)$")
  if lead then
    expect(message.offline):is_true()
    expect(seen["later " .. lead]):is_nil()
  end
  seen[message.text] = true
end
expect(own):equals(5)
expect(seen[mine.id]):is_nil()                        -- what it has sent itself is no news
