import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageFile } from '../../src/util/package-root.ts'
import { startTestServer } from '../helpers/server.ts'

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

test('every file of the console is served, under the strict policy, and not again to those who have it', async (t) => {
  const { app } = await startTestServer(t)
  const names = await readdir(packageFile('console'))
  assert.ok(names.includes('index.html') && names.includes('console.js'))
  for (const name of names) {
    const url = name === 'index.html' ? '/console/' : `/console/${name}`
    const first = await app.inject({ url })
    assert.equal(first.statusCode, 200, url)
    assert.equal(first.body, await readFile(join(packageFile('console'), name), 'utf8'))
    assert.equal(first.headers['content-security-policy'], POLICY)
    const again = (tag: string) => app.inject({ url, headers: { 'if-none-match': tag } })
    const etag = String(first.headers.etag)
    assert.equal((await again(`"other", W/${etag}`)).statusCode, 304)
    assert.equal((await again('"other"')).statusCode, 200)
  }
})

test('/console leads to /console/, also behind a prefix', async (t) => {
  const { addresses } = await startTestServer(t)
  const answer = await fetch(`${addresses.http}/console`, { redirect: 'manual' })
  assert.equal(answer.status, 308)
  assert.equal(new URL(answer.headers.get('location') ?? '', 'http://host/relay/console').pathname, '/relay/console/')
})

test('no way of writing a path leads out of the console', async (t) => {
  const { app } = await startTestServer(t)
  const outside = [
    '../package.json',
    '..%2fpackage.json',
    '%2e%2e/package.json',
    '..%5cpackage.json',
    'index.html',
    'x%00.js'
  ]
  for (const path of outside) {
    assert.equal((await app.inject({ url: `/console/${path}` })).statusCode, 404, path)
  }
})

test('the page has no script, style or handler of its own', async () => {
  const page = await readFile(packageFile('console/index.html'), 'utf8')
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/i)
  for (const name of await readdir(packageFile('console'))) {
    const text = await readFile(packageFile(`console/${name}`), 'utf8')
    if (name.endsWith('.js'))
      assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/, name)
  }
})
