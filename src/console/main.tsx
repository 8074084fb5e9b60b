import { render } from 'preact'
import { App } from './app.tsx'
import { watchRoute } from './route.ts'
import { watchLanguage } from './text/language.ts'
import { watchTheme } from './theme.ts'
import './styles/all.css'

watchTheme()
watchLanguage()
watchRoute()

const root = document.getElementById('app')
if (root) render(<App />, root)
