// A moving picture to share where there is no camera: a canvas as a stream.

const [WIDTH, HEIGHT, FRAMES] = [320, 180, 15]

export function movingPicture(name: string): MediaStream {
  const canvas = document.createElement('canvas')
  canvas.width = WIDTH
  canvas.height = HEIGHT
  const pen = canvas.getContext('2d')!
  setInterval(() => draw(pen, name, performance.now() / 1_000), 1_000 / FRAMES)
  return canvas.captureStream(FRAMES)
}

function draw(pen: CanvasRenderingContext2D, name: string, seconds: number): void {
  pen.fillStyle = '#191c24'
  pen.fillRect(0, 0, WIDTH, HEIGHT)
  for (let n = 0; n < 5; n++) {
    const angle = seconds * (1 + n / 4)
    pen.fillStyle = `hsl(${(seconds * 40 + n * 50) % 360} 80% 65%)`
    pen.beginPath()
    pen.arc(WIDTH / 2 + Math.cos(angle) * 110, 75 + Math.sin(angle * 1.3) * 50, 14, 0, 2 * Math.PI)
    pen.fill()
  }
  pen.fillStyle = '#fff'
  pen.font = '18px sans-serif'
  pen.textAlign = 'center'
  pen.fillText(`${name}, ${new Date().toLocaleTimeString()}`, WIDTH / 2, HEIGHT - 14)
}
