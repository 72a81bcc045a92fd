-- Appends an entry to log if it is the next, and says how it is otherwise.
-- KEYS: log, meta. ARGV: the record's epoch; revision, previous hash, hash and encoding of the entry.
-- Answers: EMPTY; EPOCH and the stored one; and, with the id of the last entry: DUP, FORK, OLD, GAP, CUT, OK.
-- Nothing is undone after an error, so there is one write. Hashes are compared as text: a number is a double.

local function hash(message)
	local fields = message[2]
	for i = 1, #fields, 2 do
		if fields[i] == 'hash' then return fields[i + 1] end
	end
	return ''
end

local epoch = redis.call('HMGET', KEYS[2], 'epoch')[1]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')[1]
if not epoch or not last then return {'EMPTY'} end
if epoch ~= ARGV[1] then return {'EPOCH', epoch} end

local revision = tonumber(ARGV[2])
local top = tonumber(string.match(last[1], '^(%d+)%-0$'))
if not top then return {'FORK', last[1]} end -- no publisher has written that
if revision <= top then
	local id = ARGV[2] .. '-0'
	local there = redis.call('XRANGE', KEYS[1], id, id)[1]
	if not there then return {'OLD', last[1]} end
	if hash(there) == ARGV[4] then return {'DUP', last[1]} end
	return {'FORK', last[1]}
end
if revision > top + 1 then return {'GAP', last[1]} end
if hash(last) ~= ARGV[3] then return {'FORK', last[1]} end

local added = redis.pcall('XADD', KEYS[1], ARGV[2] .. '-0', 'hash', ARGV[4], 'entry', ARGV[5])
if type(added) == 'table' and added.err then
	-- Entries after the last were deleted: no stream takes an id twice.
	if string.find(added.err, 'equal or smaller', 1, true) then return {'CUT', last[1]} end
	return added
end
return {'OK', added}
